"""A plugin is a file: pipeline/<kind>/<name>.py holds one class, named after its kind."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# kind -> the name of the class that each file of that kind defines
CLASSES = {
    "datasets": "Dataset",
    "distillers": "Distiller",
    "engines": "Engine",
    "exporters": "Exporter",
    "extractors": "Extractor",
    "heads": "Head",
    "importers": "Importer",
    "kd": "Method",
    "metrics": "Metric",
    "networks": "Network",
    "selectors": "Selector",
    "tasks": "Task",
}


def names(kind: str) -> list[str]:
    """Names of the plugins of a kind, sorted: the files of its folder that do not start with an underscore."""
    return sorted(path.stem for path in (Path(__file__).parent / kind).glob("[!_]*.py"))


def find(kind: str, name: str) -> Any:
    """The class in pipeline/<kind>/<name>.py."""
    if name not in names(kind):
        raise PluginError(f"no {kind.removesuffix('s')} named {name!r}; there are {', '.join(names(kind))}")
    return getattr(importlib.import_module(f"pipeline.{kind}.{name}"), CLASSES[kind])


def pick(given: Mapping[str, T], name: str, noun: str) -> T:
    """The entry of that name among those that a caller was given."""
    if name not in given:
        raise PluginError(f"no {noun} named {name!r} was given; there are {', '.join(sorted(given)) or 'none'}")
    return given[name]
