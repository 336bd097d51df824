"""Arguments and options of the commands: their sentences in the help, and their types."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core.errors import PluginError
from pipeline.core.paths import parse_path
from pipeline.core.plugins import KINDS as PLUGINS
from pipeline.core.plugins import list_names

POSITIONAL, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY

# A stage's annotation -> its type on the command line.
KINDS = {
    "Path": Path,
    "Path | None": Path | None,
    "str": str,
    "int": int,
    "tuple[str, ...]": list[str],
}
# The sentence of a parameter, in every command that has it.
SENTENCES = {
    "address": "The cluster's host:port; without it, Ray runs on this machine alone.",
    "artifact": "An artifact, or a folder of seed<k>.h5.",
    "av": "Decode reference clips of a known flash and beep, and measure the errors.",
    "ceiling": "The whole data's scores, from `avdistill ceiling`, to stand beside the set's.",
    "coreset": "Write the training samples nearest to each text, as a ranking, to this folder.",
    "coresets": "The folder of rankings that `avdistill coreset` wrote.",
    "data": "The folder of datasets, <dataset>/media in each; their media are listed.",
    "device": "cpu, cuda, cuda:1, or auto.",
    "dry_run": "Estimate memory and time from a few steps, and write nothing.",
    "engine": "local: this machine; ray: a Ray cluster, one shard a task.",
    "experts": "The bank that `avdistill experts` wrote, for methods that need one.",
    "extractor": "A section of `extract`.",
    "features": "A table that `avdistill extract` wrote.",
    "first": "An artifact.",
    "folder": "The project's folder, new or not; by default the one you are in.",
    "force": "Replace OUT if it exists; the old one stays until the new one is complete.",
    "format": "An exporter, see above.",
    "ipc": "Instances per class.",
    "kind": "A kind of plugin, e.g. methods; none lists the kinds.",
    "layout": "An importer, see above.",
    "limit": "Take N clips, of each class and split in turn, one of each at least; 0 takes all.",
    "manifest": "The CSV that `avdistill ingest` wrote.",
    "memory_mb": "Device memory for real samples; a larger set is streamed from its shards.",
    "method": "A section of `distill`.",
    "name": "A section of `ingest`.",
    "out": "The file or folder to write.",
    "path": "The published file, or the folder of files.",
    "preset": "A preset to merge into params.yaml, or a .yaml file of yours; repeatable.",
    "prompts": "A table class,template,text, or class,name, or a manifest.",
    "report": "No progress.",
    "reproduce": "Train students again on these shards, and compare their scores with the file's.",
    "results": "The folder of results: <dataset>/ceiling.json and <dataset>/<method>/ipc<k>/.",
    "retry": "Decode shards again that hold this reason of the ledger; repeatable.",
    "root": "The folder of media and annotation files.",
    "sample": "Clips to decode for the forecast.",
    "scores": "The scores that `avdistill evaluate` wrote for the artifact.",
    "second": "The artifact to compare it with.",
    "set": "section.key=value, instead of the params file's; repeatable.",
    "shards": "The folder that `avdistill decode` wrote: train, val and test.",
    "synthetic": "The folder of sets that `avdistill distill` wrote.",
    "text": "A table that `avdistill extract-text` wrote by the same encoder.",
    "train_set": "The training split's folder, a ranking with --ipc, or an artifact.",
    "workers": "Decoding processes, or students trained at once.",
}
# Where a command's parameter differs.
SPECIAL = {
    ("decode", "shards"): "The folder to write: <split>/shard-*.tar, ledger.csv, leaks.csv.",
    ("distill", "shards"): "The training split's folder; the validation split lies beside it.",
    ("experts", "shards"): "The training split's folder; the validation split lies beside it.",
    ("extract", "shards"): "The folder of one split, as a rule train.",
    ("ingest", "force"): "Replace OUT even if it is no manifest.",
    ("init", "force"): "Overwrite files of the project that exist.",
    ("prototypes", "features"): "The folder of train.h5, val.h5 and test.h5.",
    ("teach", "features"): "A table that `avdistill extract` wrote, or a folder of them.",
    ("teach", "ipc"): "Samples of each class to take from a ranking.",
    ("teach", "method"): "A section of `kd`.",
    ("teach", "shards"): "The folder above train, val and test, for a ranking or an artifact.",
}


def describe_parameter(stage: str, name: str) -> str:
    """Return the sentence of a parameter in the help.

    Args:
        stage: name of its function, e.g. extract_text.
        name: of the parameter.
    """
    return SPECIAL.get((stage, name)) or SENTENCES.get(name, "")


def convert_parameter(stage: str, parameter: inspect.Parameter) -> inspect.Parameter:
    """Convert a stage's parameter for typer; keyword-only parameters become options.

    Args:
        stage: name of its function.
        parameter: of the function's signature.
    """
    sentence = describe_parameter(stage, parameter.name)
    if parameter.annotation == "bool":  # a flag: off unless it is given
        flag = f"--{parameter.name.replace('_', '-')}"
        option = typer.Option(flag, help=sentence)
        return parameter.replace(annotation=Annotated[bool, option], default=False)
    if parameter.annotation == "PathOrURL":
        return parameter.replace(
            annotation=Annotated[Path, _declare(parameter, sentence, parser=parse_path)]
        )
    plain: Any = KINDS[parameter.annotation]
    return parameter.replace(annotation=Annotated[plain, _declare(parameter, sentence)])


def _declare(parameter: inspect.Parameter, sentence: str, **more: Any) -> Any:
    if parameter.kind is POSITIONAL:
        name = parameter.name.upper()
        return typer.Argument(show_default=False, help=sentence, metavar=name, **more)
    return typer.Option(show_default=False, help=sentence, **more)


def format_docstring(stage: Any) -> str:
    """Join each paragraph into one line, which the terminal wraps; keep the example's lines.

    Args:
        stage: the function.
    """
    text, _, example = str(inspect.getdoc(stage)).partition("Example: ")
    text = fill_lists(text)
    lines = [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
    return "\n\n".join([*lines, f"Example:\n\n\b\n{example.strip()}"])


def fill_lists(text: str) -> str:
    """Replace {presets} and {<kind>s}, such as {exporters}, by the names of what is installed.

    Args:
        text: of a docstring.
    """
    text = text.replace("{kinds}", ", ".join(list_kinds()))
    if "{presets}" in text:
        from pipeline.project import describe_presets

        text = text.replace("{presets}", "\n\n".join(describe_presets()))
    for kind in PLUGINS:
        place = f"{{{kind.replace(' ', '_')}s}}"
        if place in text:
            text = text.replace(place, ", ".join(list_names(kind)))
    return text


def list_kinds() -> list[str]:
    """List the kinds of plugins as the command line writes them, e.g. "kd-methods"."""
    return sorted(f"{kind.replace(' ', '-')}s" for kind in PLUGINS)


def kind_of(word: str) -> str:
    """Return the key of KINDS for a word of `list_kinds`; "datasets" are adapters.

    Args:
        word: e.g. "methods".

    Raises:
        PluginError: there is no such kind.
    """
    kind = {"datasets": "adapter"}.get(word, word.removesuffix("s").replace("-", " "))
    if kind not in PLUGINS:
        raise PluginError(f"no kind of plugin {word!r}; name one of {', '.join(list_kinds())}")
    return kind
