"""The command line: one command per stage, from its signature; errors become exit codes here."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pipeline
from pipeline.core.errors import EchoError, ParamsError, PipelineError, RejectError
from pipeline.core.paths import escape_bytes, parse_path
from pipeline.shards.machine import count_workers
from stages._progress import ProgressReporter
from stages._runtime import device_of, exit_code_of, raise_signals, read_rank_and_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.distillation.distributed import Ranks

STAGES = (
    "init",
    "code",
    "ingest",
    "decode",
    "extract",
    "extract-text",
    "coreset",
    "experts",
    "distill",
    "export",
    "evaluate",
    "ceiling",
    "prototypes",
    "publish",
    "report",
    "inspect",
    "verify",
    "diff",
    "convert",
    "adopt",
    "doctor",
    "plan",
    "teach",
)
MOST_WORKERS = 1024
POSITIONAL, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY

# Machine knobs are options or environment variables, never params: no machine changes a result.
KNOBS: dict[str, tuple[type, Any, Any]] = {
    "workers": (
        int,
        count_workers(),
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            envvar="AVDISTILL_WORKERS",
            help="Decoding processes, or students trained at once.",
        ),
    ),
    "engine": (
        str,
        "local",
        typer.Option(
            envvar="AVDISTILL_ENGINE",
            help="local: this machine; ray: a Ray cluster, one shard a task.",
        ),
    ),
    "address": (
        str,
        "",
        typer.Option(
            envvar="AVDISTILL_ADDRESS",
            help="The cluster's host:port; without it, Ray runs on this machine alone.",
        ),
    ),
    "memory_mb": (
        int,
        8192,
        typer.Option(
            "--memory-mb",
            min=1,
            envvar="AVDISTILL_MEMORY_MB",
            help="Device memory for real samples; a larger set is streamed from its shards.",
        ),
    ),
    "device": (
        str,
        "auto",
        typer.Option(envvar="AVDISTILL_DEVICE", help="cpu, cuda, cuda:1, or auto."),
    ),
    "report": (bool, False, typer.Option("--quiet", envvar="AVDISTILL_QUIET", help="No progress.")),
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

# A stage's annotation -> its type on the command line.
KINDS = {
    "Path": Path,
    "Path | None": Path | None,
    "str": str,
    "int": int,
    "tuple[str, ...]": list[str],
}

app = typer.Typer(
    add_completion=False,
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
    params_file: Annotated[Path, typer.Option(help="The values of every stage.")] = Path(
        "params.yaml"
    ),
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, instead of the file's; repeatable."),
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
        _convert_parameter(parameter)
        for parameter in wanted.values()
        if parameter.name not in ("params", "ranks")
    ]
    run.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    run.__doc__ = _format_docstring(stage)
    app.command(name, short_help=_fill_lists(str(stage.__doc__).splitlines()[0]))(run)


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
        given |= {"report": report, "ranks": ranks}
        if "params" in wanted:
            given["params"] = _load_params(context.obj)
        message: str = stage(**{name: value for name, value in given.items() if name in wanted})
    finally:
        report.close()
    return message


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


def _convert_parameter(parameter: inspect.Parameter) -> inspect.Parameter:
    """Convert a stage's parameter for typer; keyword-only parameters become options."""
    if parameter.name in KNOBS:
        kind, default, option = KNOBS[parameter.name]
        return parameter.replace(annotation=Annotated[kind, option], default=default, kind=KEYWORD)
    if parameter.annotation == "bool":  # a flag: off unless it is given
        flag = f"--{parameter.name.replace('_', '-')}"
        return parameter.replace(annotation=Annotated[bool, typer.Option(flag)], default=False)
    if parameter.annotation == "PathOrURL":
        return parameter.replace(
            annotation=Annotated[
                Path, _declare_parameter(parameter, parser=parse_path, metavar="path or URL")
            ]
        )
    plain: Any = KINDS[parameter.annotation]
    return parameter.replace(annotation=Annotated[plain, _declare_parameter(parameter)])


def _declare_parameter(parameter: inspect.Parameter, **more: Any) -> Any:
    kind = typer.Argument if parameter.kind is POSITIONAL else typer.Option
    return kind(show_default=False, **more)


def _load_params(given: dict[str, Any]) -> Any:
    from pipeline.core.params import load

    return load(given["params_file"], given["changes"])


def _format_docstring(stage: Any) -> str:
    """Join each paragraph into one line, which the terminal wraps; keep the example's lines."""
    text, _, example = str(inspect.getdoc(stage)).partition("Example: ")
    text = _fill_lists(text)
    lines = [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
    return "\n\n".join([*lines, f"Example:\n\n\b\n{example.strip()}"])


def _fill_lists(text: str) -> str:
    """Replace {presets} and {<kind>s}, such as {exporters}, by the names of what is installed."""
    from pipeline.core.plugins import KINDS, list_names

    if "{presets}" in text:
        text = text.replace("{presets}", _list_presets())
    for kind in KINDS:
        place = f"{{{kind.replace(' ', '_')}s}}"
        if place in text:
            text = text.replace(place, ", ".join(list_names(kind)))
    return text


def _list_presets() -> str:
    from pipeline.project import describe_presets

    return "\n\n".join(describe_presets())


def _print_error(message: str, code: int) -> int:
    if "--traceback" in sys.argv:
        traceback.print_exc()
    print(f"error: {escape_bytes(' '.join(message.split()))}", file=sys.stderr)
    return code


for _name in STAGES:
    add_command(_name)
