"""Plugins: a file in a kind's folder is a plugin, and its name there is its name in params.yaml.

OUTSIDE holds those that lie elsewhere; `pipeline.project.plugins` finds them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipeline.core.errors import PluginError
from pipeline.core.paths import list_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.core.params import Params

T = TypeVar("T")
PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class PluginKind:
    """One kind of plugin.

    Args:
        folder: the folder of its files, below pipeline/.
        defines: the class that each of these files defines.
        section: the section of params.yaml whose rows give values to its plugins.
        key: the key of such a row that names the plugin; by default the row's own name.
    """

    folder: str
    defines: str
    section: str
    key: str


KINDS = {
    "adapter": PluginKind(
        folder="datasets/adapters", defines="Dataset", section="ingest", key="adapter"
    ),
    "engine": PluginKind(folder="shards/engines", defines="Engine", section="", key=""),
    "exporter": PluginKind(
        folder="artifact/exporters", defines="Exporter", section="convert", key="exporter"
    ),
    "extractor": PluginKind(
        folder="features/extractors", defines="Extractor", section="extract", key="extractor"
    ),
    "head": PluginKind(folder="models/heads", defines="Head", section="heads", key="head"),
    "importer": PluginKind(
        folder="artifact/importers", defines="Importer", section="import", key="importer"
    ),
    "kd method": PluginKind(folder="kd/methods", defines="Method", section="kd", key="method"),
    "method": PluginKind(
        folder="distillation/methods", defines="Distiller", section="distill", key="method"
    ),
    "metric": PluginKind(
        folder="evaluation/metrics", defines="Metric", section="metrics", key="metric"
    ),
    "network": PluginKind(
        folder="models/networks", defines="Network", section="networks", key="network"
    ),
    "selector": PluginKind(
        folder="coresets/selectors", defines="Selector", section="coreset", key="selector"
    ),
    "task": PluginKind(folder="evaluation/tasks", defines="Task", section="tasks", key="task"),
}


# (kind, name) -> module of the plugins from outside.
OUTSIDE: dict[tuple[str, str], str] = {}


def list_names(kind: str) -> list[str]:
    """List the plugins of a kind, sorted: files of its folder without an underscore, and others.

    Args:
        kind: a key of KINDS.
    """
    files = {path.stem for path in list_folder(PACKAGE / KINDS[kind].folder, "[!_]*.py")}
    return sorted(files | {name for own, name in OUTSIDE if own == kind})


def plugin_of_row(kind: str, name: str, row: Mapping[str, Any], where: str) -> str:
    """Return the plugin that a row names, by default its own name.

    Args:
        kind: a key of KINDS.
        name: the row's name, e.g. "jcf-hard" of `distill`.
        row: its values.
        where: the params file, for the message.

    Raises:
        PluginError: there is no such plugin.
    """
    about = KINDS[kind]
    plugin, known = row.get(about.key, name), list_names(kind)
    if not isinstance(plugin, str) or plugin not in known:
        place = f"{where}: {about.section}.{name}"
        raise PluginError(
            f"{place}: no {kind} named {plugin!r}; set {about.key} to one of {', '.join(known)}"
        )
    return plugin


def module_name(kind: str, name: str) -> str:
    """Return the module of a plugin, e.g. pipeline.models.networks.convnet.

    Args:
        kind: a key of KINDS.
        name: the plugin's name.

    Raises:
        PluginError: there is no such plugin; the message lists the known.
    """
    if name not in list_names(kind):
        raise PluginError(f"no {kind} named {name!r}; there are {', '.join(list_names(kind))}")
    ours = f"pipeline.{KINDS[kind].folder.replace('/', '.')}.{name}"
    return OUTSIDE.get((kind, name), ours)


def import_plugin(kind: str, name: str) -> Any:
    """Import the module of a plugin.

    Args:
        kind: a key of KINDS.
        name: the plugin's name.

    Raises:
        PluginError: there is no such plugin, or one from outside cannot be imported.
    """
    module = module_name(kind, name)
    try:
        return importlib.import_module(module)
    except Exception as error:
        if (kind, name) in OUTSIDE:
            raise PluginError(f"the {kind} {module} cannot be imported ({error!r})") from error
        raise


def find(kind: str, name: str) -> Any:
    """Import a plugin and return its class.

    Args:
        kind: a key of KINDS.
        name: the plugin's name.

    Raises:
        PluginError: there is no such plugin; the message lists the known.
    """
    return getattr(import_plugin(kind, name), KINDS[kind].defines)


class PluginTitle(NamedTuple):
    """A plugin spelt out, and the address of its paper, empty where none is known."""

    title: str
    paper: str = ""


def describe(kind: str, name: str, row: str = "") -> PluginTitle:
    """Return how a plugin is spelt out: TITLE and PAPER of its module, else its own name.

    Some rows of params.yaml go by a name of their own, e.g. one that a paper gives. The module's
    ROWS, name of the row -> (title, paper), spells these out.

    Args:
        kind: a key of KINDS.
        name: the plugin's name.
        row: of params.yaml, by default that of the same name.

    Raises:
        PluginError: there is no such plugin; the message lists the known.
    """
    module = import_plugin(kind, name)
    rows = getattr(module, "ROWS", {})
    if row in rows:
        return PluginTitle(*rows[row])
    return PluginTitle(getattr(module, "TITLE", row or name), getattr(module, "PAPER", ""))


def plugin_of(kind: str, row: str, params: Params) -> str:
    """Return the plugin that a row of params.yaml names, by default its own name.

    Args:
        kind: a key of KINDS.
        row: e.g. "jcf-hard", a sub-section of `distill`.
        params: the params file.

    Raises:
        PluginError: there is no such plugin.
    """
    about = KINDS[kind]
    rows = params.get_section(about.section)
    if row not in rows and row in list_names(kind):
        users = [name for name, values in rows.items() if (values or {}).get(about.key) == row]
        advice = f"sections that use it: {', '.join(users)}" if users else "add it with its values"
        raise PluginError(
            f"{row} is a plugin, and {params.name} has no section {about.section}.{row}; {advice}"
        )
    values = params.get_section(f"{about.section}.{row}")
    return plugin_of_row(kind, row, values, params.name)


def build(kind: str, row: str, params: Params) -> Any:
    """Build the plugin that a row of params.yaml names, with the row's values.

    Args:
        kind: a key of KINDS.
        row: e.g. "resnet18", a sub-section of `networks`.
        params: the params file.

    Raises:
        PluginError: there is no such plugin.
        ParamsError: the values do not fit it.
    """
    about = KINDS[kind]
    plugin = find(kind, plugin_of(kind, row, params))
    return params.build(f"{about.section}.{row}", plugin, without=[about.key])


def build_all(kind: str, params: Params) -> dict[str, Any]:
    """Build every row of a kind's section: the row's name -> its plugin.

    Args:
        kind: a key of KINDS.
        params: the params file.
    """
    return {name: build(kind, name, params) for name in params.get_section(KINDS[kind].section)}


def plugin_name(plugin: object) -> str:
    """Return the name of a plugin: that of its file.

    Args:
        plugin: as `build` returns it.
    """
    return type(plugin).__module__.rpartition(".")[2]


def pick(given: Mapping[str, T], name: str, noun: str) -> T:
    """Return the entry of a name.

    Args:
        given: name -> entry, e.g. the networks that were built.
        name: the entry to return.
        noun: the kind of entry, for the message.

    Raises:
        PluginError: there is no such entry; the message lists the names.
    """
    if name not in given:
        known = ", ".join(sorted(given)) or "none"
        raise PluginError(f"no {noun} named {name!r} was given; there are {known}")
    return given[name]


def find_used(params: Params, rows: Sequence[str], values: Any = ()) -> dict[str, str]:
    """Return row -> module of the plugins of these rows, and of all that their values name in turn.

    `network: convnet` and `networks: [convnet, vgg11]` name rows of the section `networks`.

    Args:
        params: the params file.
        rows: e.g. "distill.jcf-hard".
        values: further values that name rows, e.g. the section `evaluate`.

    Raises:
        ParamsError: a row is missing.
        PluginError: a row's plugin is missing.
    """
    kinds = {about.section: kind for kind, about in KINDS.items()}
    waiting, used = [*rows, *_list_rows(values)], dict[str, str]()
    while waiting:
        row = waiting.pop()
        section, _, name = row.partition(".")
        if row not in used:
            kind = kinds[section]
            used[row] = module_name(kind, plugin_of(kind, name, params))
            own = params.get_section(row)
            waiting += _list_rows({key: own[key] for key in own if key != KINDS[kind].key})
    return used


def _list_rows(values: Any) -> Iterator[str]:
    """Yield e.g. "networks.convnet" for `network: convnet`, wherever it stands in the values."""
    inner = values.items() if isinstance(values, dict) else [("", value) for value in values]
    for key, value in inner:
        if isinstance(value, dict | list):
            yield from _list_rows(value)
        names = value if isinstance(value, list) else [value]
        sections = [about.section for about in KINDS.values() if key in (about.key, about.section)]
        for section in filter(None, sections):
            yield from (f"{section}.{name}" for name in names if isinstance(name, str))
