"""The plugin that is checked, and how a check says that a fact does not hold."""

from __future__ import annotations

import copy
import dataclasses
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core import plugins
from pipeline.core.errors import PluginError
from pipeline.media.logmel import LogMel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.core.params import Params

    Check = Callable[["Subject"], None]

# What the toy's log-mels, 8 x 8, could have been made with.
TOY_SOUND = LogMel(rate=700, n_fft=256, hop=100, n_mels=8, f_min=0.0, f_max=350.0, floor_db=-60.0)
# Fields of plugins -> values that are small enough for a toy.
SMALL: dict[str, Any] = {
    "steps": 2,
    "counts": (1, 2, 4, 8),
    "inner": 2,
    "ahead": 1,
    "max_start": 1,
    "logmel": TOY_SOUND,
    "negatives": 8,
}


class BrokenFactError(Exception):
    """A fact does not hold of a plugin."""


class UntriedError(Exception):
    """A fact cannot be tried here."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A plugin that is checked.

    Args:
        kind: a key of KINDS.
        name: the plugin's.
        plugin: built from a row, with the few steps that a toy needs.
        params: the params file of that row.
        folder: empty, for files.
        root: of a dataset or a published file, for plugins that read one.
    """

    kind: str
    name: str
    plugin: Any
    params: Params
    folder: Path
    root: Path | None = None

    @cached_property
    def module(self) -> Any:
        """The plugin's module."""
        return sys.modules[type(self.plugin).__module__]

    def require_root(self) -> Path:
        """Return the root.

        Raises:
            UntriedError: none was given.
        """
        if self.root is None:
            raise UntriedError(f"name files that this {self.kind} reads with --root")
        return self.root

    def make_folder(self) -> Path:
        """Make an empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def expect(holds: bool, found: object, expected: str) -> None:
    """Raise an error where a fact does not hold.

    Args:
        holds: whether it does.
        found: shown in the message.
        expected: the same.

    Raises:
        BrokenFactError: it does not.
    """
    if not holds:
        raise BrokenFactError(f"found {found}, expected {expected}")


def expect_same(first: Mapping[str, Any], second: Mapping[str, Any], expected: str) -> None:
    """Raise an error where arrays or tensors differ in any bit.

    Args:
        first: name -> array.
        second: the same.
        expected: for the message.

    Raises:
        BrokenFactError: they differ.
    """
    expect(first.keys() == second.keys(), f"{sorted(first)} and {sorted(second)}", expected)
    for name, values in first.items():
        pair = np.asarray(values), np.asarray(second[name])
        expect(np.array_equal(*pair), f"other values of {name}", expected)


def expect_untouched(given: Any, act: Callable[[], object], arrays: Callable[[Any], Any]) -> None:
    """Run a plugin and raise an error if its input is another one afterwards.

    Args:
        given: the input.
        act: runs the plugin on it.
        arrays: input -> name -> array.

    Raises:
        BrokenFactError: it changed.
    """
    before = copy.deepcopy(arrays(given))
    act()
    expect_same(before, arrays(given), "inputs as they were")


def shrink(plugin: Any) -> Any:
    """Return a plugin with steps and counts for a toy; one that refuses these stays as it is.

    Args:
        plugin: as its row builds it.
    """
    small = {
        name: value
        for name, value in SMALL.items()
        if isinstance(getattr(plugin, name, None), type(value))
    }
    try:
        return dataclasses.replace(plugin, **small)
    except (TypeError, ValueError):
        return plugin


def build_row(kind: str, name: str, params: Params) -> Any:
    """Build a plugin from a row of params: that of its name, or another one that names it.

    Args:
        kind: a key of KINDS.
        name: the plugin's.
        params: the params file.

    Raises:
        PluginError: no row names it.
        ParamsError: the row does not fit it.
    """
    section = plugins.KINDS[kind].section
    if not section:  # engines: their values are options
        found = plugins.find(kind, name)
        knobs = {"workers": 2, "address": ""}
        return found(**{field.name: knobs[field.name] for field in dataclasses.fields(found)})
    rows = [
        row for row in params.get_section(section) if name == plugins.plugin_of(kind, row, params)
    ]
    if not rows:
        raise PluginError(f"{params.name} has no {section}.{name}; write its values there")
    return plugins.build(kind, name if name in rows else rows[0], params)
