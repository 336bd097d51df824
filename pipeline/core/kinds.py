"""The kinds of plugins: the folder of each, and the section of params.yaml that gives it values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def list_names(kind: str) -> list[str]:
    """List the plugins of a kind, sorted: files of its folder without a leading underscore."""
    return sorted(path.stem for path in (PACKAGE / KINDS[kind].folder).glob("[!_]*.py"))


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
