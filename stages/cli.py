"""The command line: one command per stage, from its signature; errors become exit codes here."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pipeline
from pipeline.core.errors import (
    EchoError,
    MachineError,
    ParamsError,
    PipelineError,
    PluginError,
    RejectError,
)
from pipeline.core.paths import escape_bytes
from pipeline.project import load_params, use_plugins
from pipeline.shards.machine import count_workers
from stages._arguments import (
    KEYWORD,
    POSITIONAL,
    SENTENCES,
    convert_parameter,
    fill_lists,
    format_docstring,
)
from stages._progress import ProgressReporter
from stages._runtime import (
    device_of,
    exit_code_of,
    prepare_process,
    raise_signals,
    read_rank_and_count,
    replace_output,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.distillation.distributed import Ranks

PARAMS_FILE = Path("params.yaml")
MOST_WORKERS = 1024
# Panel of the help -> its commands.
PANELS = {
    "Pipeline": (
        *("init", "code", "ingest", "decode", "extract", "coreset", "experts", "distill"),
        *("export", "evaluate", "ceiling", "publish", "report"),
    ),
    "Artifacts": ("inspect", "verify", "diff", "convert", "adopt"),
    "Extras": ("list", "plan", "doctor", "extract-text", "prototypes", "teach"),
}
PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
STAGES = tuple(PANEL_OF)
# Options of each command that has a certain parameter: that parameter, the type, the default.
ADDED: dict[str, tuple[str, Any, Any]] = {
    "force": ("out", Annotated[bool, typer.Option("--force", help=SENTENCES["force"])], False),
    "change": (
        "params",
        Annotated[list[str] | None, typer.Option("--set", help=SENTENCES["set"])],
        None,
    ),
}

# Machine knobs are options or environment variables, never params: no machine changes a result.
KNOBS: dict[str, tuple[type, Any, dict[str, Any]]] = {
    "workers": (int, count_workers(), {"min": 1, "max": MOST_WORKERS}),
    "engine": (str, "local", {}),
    "address": (str, "", {}),
    "memory_mb": (int, 8192, {"min": 1}),
    "device": (str, "auto", {}),
    "report": (bool, False, {"param_decls": ("--quiet",), "envvar": "AVDISTILL_QUIET"}),
}

INTERRUPTED = (
    "interrupted; run the same command again: finished shards, features, seeds and scores "
    "are kept, and distill and teach resume at their last step"
)

ABOUT = (
    "Turn labelled videos into a tiny synthetic audio-visual set, as one HDF5 file.\n\n"
    "`avdistill init` writes a project, and `dvc repro` runs its stages: code, ingest, decode, "
    "extract, coreset, experts, distill, export, evaluate, ceiling, publish, report."
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avdistill {pipeline.__version__}")
        raise typer.Exit


@app.callback(help=ABOUT)
def _store_options(
    context: typer.Context,
    params_file: Annotated[Path, typer.Option(help="The values of every stage.")] = PARAMS_FILE,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help=SENTENCES["set"]),
    ] = None,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    context.obj = {"params_file": params_file, "changes": change or [], "traceback": show_traceback}


def add_command(name: str) -> None:
    """Add the command of stages/<name>.py: its arguments, options and machine knobs.

    Args:
        name: the command, e.g. extract-text for stages/extract_text.py.
    """
    module = name.replace("-", "_")  # extract-text
    stage = getattr(importlib.import_module(f"stages.{module}"), module)
    wanted = inspect.signature(stage).parameters

    def run(context: typer.Context, **given: Any) -> None:
        with raise_signals() as received:
            try:
                with _join_ranks(name, "ranks" in wanted, given.get("device", "auto")) as ranks:
                    message = _run_stage(stage, wanted, context, given, ranks)
            except BaseException as error:
                code = exit_code_of(error, received)
                if code is None:
                    raise
                raise typer.Exit(_print_error(INTERRUPTED, code)) from None
        if ranks is None or ranks.number == 0:
            typer.echo(escape_bytes(message))

    own = [inspect.Parameter("context", POSITIONAL, annotation=typer.Context)]
    own += [
        _convert_knob(each) if each.name in KNOBS else convert_parameter(module, each)
        for each in wanted.values()
        if each.name not in ("params", "ranks")
    ]
    own += [
        inspect.Parameter(key, KEYWORD, annotation=annotation, default=default)
        for key, (needed, annotation, default) in ADDED.items()
        if needed in wanted and key not in wanted
    ]
    run.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    run.__doc__ = format_docstring(stage)
    short, panel = fill_lists(str(stage.__doc__).splitlines()[0]), PANEL_OF[name]
    app.command(name, short_help=short, rich_help_panel=panel)(run)


@contextmanager
def _join_ranks(stage: str, splits: bool, device: str) -> Iterator[Ranks | None]:
    """Yield this process's rank among those of torchrun, joined with the others meanwhile.

    Args:
        stage: its command.
        splits: whether it shares its work among ranks; None is yielded for a stage that does not.
        device: as in --device.

    Raises:
        ParamsError: torchrun started several processes of a stage that does not split.
        EchoError: the same, in all ranks but 0.
    """
    number, count = read_rank_and_count()
    if not splits:
        if count > 1:
            message = (
                f"`avdistill {stage}` has nothing to split over {count} ranks; "
                "start it without torchrun"
            )
            raise EchoError(message) if number else ParamsError(message)
        yield None
        return
    from pipeline.distillation.distributed import Ranks, join_ranks

    ranks = Ranks(number=number, count=count)
    if count == 1:
        yield ranks
        return
    with join_ranks(ranks, device_of(device)):
        yield ranks


def _run_stage(
    stage: Any, wanted: Any, context: typer.Context, given: dict[str, Any], ranks: Any
) -> str:
    """Run the stage with the arguments that it takes, and return its message; rank 0 reports."""
    report = ProgressReporter(
        stage.__name__, quiet=given.get("report", True) or (ranks is not None and ranks.number > 0)
    )
    try:
        _refuse_other_encodings()
        prepare_process()
        given |= {"report": report, "ranks": ranks}
        if "params" in wanted:
            given["params"] = _load_params(context.obj, given.get("change") or ())
        arguments = {name: value for name, value in given.items() if name in wanted}
        if "force" in wanted or not given.get("force") or (ranks and ranks.number):
            return str(stage(**arguments))
        inputs = [value for name, value in arguments.items() if name != "out"]
        with replace_output(arguments["out"], [path for path in inputs if isinstance(path, Path)]):
            return str(stage(**arguments))
    finally:
        report.close()


def _refuse_other_encodings() -> None:
    """Refuse a locale in which the same names of files would be other texts, and other ids."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise MachineError(f"file names are read as {encoding} here; set PYTHONUTF8=1")


def main() -> None:
    """Run the command line; docs/reference/cli.md lists the exit codes."""
    try:
        app()
    except EchoError:  # another rank has printed the reason
        sys.exit(1)
    except RejectError as error:
        sys.exit(_print_error(str(error), 3))
    except PipelineError as error:
        sys.exit(_print_error(str(error), 1))
    except Exception as error:  # the last resort: one line, and how to see the rest
        sys.exit(
            _print_error(
                f"unexpected {type(error).__name__}: {error}; "
                "run again with --traceback before the command, and report it",
                1,
            )
        )


def _convert_knob(parameter: inspect.Parameter) -> inspect.Parameter:
    kind, default, given = KNOBS[parameter.name]
    names = {"envvar": f"AVDISTILL_{parameter.name.upper()}", **given}
    flags = names.pop("param_decls", (f"--{parameter.name.replace('_', '-')}",))
    option = typer.Option(*flags, help=SENTENCES[parameter.name], **names)
    return parameter.replace(annotation=Annotated[kind, option], default=default, kind=KEYWORD)


def _load_params(given: dict[str, Any], changes: Sequence[str]) -> Any:
    from pipeline.core.presets import PACKAGED
    from pipeline.project.news import describe_news

    file, changes = given["params_file"], [*given["changes"], *changes]
    if file == PARAMS_FILE and not file.exists():
        print(f"note: no {file} here, so the packaged values count", file=sys.stderr)
        file = PACKAGED / file
    loaded = load_params(file, changes)
    if news := describe_news(file):
        print(f"note: {news}", file=sys.stderr)
    return loaded


def _print_error(message: str, code: int) -> int:
    if "--traceback" in sys.argv:
        traceback.print_exc()
    print(f"error: {escape_bytes(' '.join(message.split()))}", file=sys.stderr)
    return code


with suppress(PluginError):  # commands that read params say so; the help is there all the same
    use_plugins()
for _name in STAGES:
    add_command(_name)
