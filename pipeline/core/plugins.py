"""Plugins: a file in a kind's folder is a plugin, and its name there is its name in params.yaml."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.core.errors import PluginError
from pipeline.core.kinds import KINDS, list_names, plugin_of_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.core.params import Params

T = TypeVar("T")

__all__ = [
    "KINDS",
    "build",
    "build_all",
    "find",
    "list_names",
    "module_name",
    "pick",
    "plugin_name",
    "plugin_of",
]


def module_name(kind: str, name: str) -> str:
    """Return the module of a plugin, e.g. pipeline.models.networks.convnet."""
    if name not in list_names(kind):
        raise PluginError(f"no {kind} named {name!r}; there are {', '.join(list_names(kind))}")
    return f"pipeline.{KINDS[kind].folder.replace('/', '.')}.{name}"


def find(kind: str, name: str) -> Any:
    """Import a plugin and return its class; an unknown name is a PluginError that lists the known."""
    return getattr(importlib.import_module(module_name(kind, name)), KINDS[kind].defines)


def plugin_of(kind: str, row: str, params: Params) -> str:
    """Return the plugin that a row of params.yaml names, by default its own name.

    Args:
        kind: a key of KINDS.
        row: e.g. "jcf-hard", a sub-section of `distill`.
        params: the params file.

    Raises:
        PluginError: there is no such plugin.
    """
    values = params.get_section(f"{KINDS[kind].section}.{row}")
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
    """Build every row of a kind's section: the row's name -> its plugin."""
    return {name: build(kind, name, params) for name in params.get_section(KINDS[kind].section)}


def plugin_name(plugin: object) -> str:
    """Return the name of a plugin that was built: its file's."""
    return type(plugin).__module__.rpartition(".")[2]


def pick(given: Mapping[str, T], name: str, noun: str) -> T:
    """Return the entry of that name; a PluginError lists the names that were given."""
    if name not in given:
        there = ", ".join(sorted(given)) or "none"
        raise PluginError(f"no {noun} named {name!r} was given; there are {there}")
    return given[name]
