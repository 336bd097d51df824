"""What a file of the format must hold (docs/reference/artifact-format.md), as a list of what is wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.records import SOFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMAT = "avdistill"
VERSION = "1.0"
LABEL, KEYS = "label", "source_key"
NEEDED = ("classes", "ipc", "formation", "normalisation", "units")
# What `formation.split` does, as data, for readers in other languages: cut the last two dimensions into the grid, read the cells
# in that order, resize each to the full size, repeat them up to the number of the finest grid.
DECODING = {
    "cut": [-2, -1],
    "order": "column by column, top to bottom",
    "resize": "bilinear",
    "align_corners": False,
    "antialias": False,
    "pair": "training instance j takes piece j modulo the modality's pieces",
}
# How far the sum of a soft label may be from 1.
ROUNDING = 1e-3


def modalities(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the columns that hold rows."""
    return [name for name in columns if name not in (LABEL, KEYS) and not name.startswith(SOFT)]


def find_faults(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    """Each rule that rows, as float32, and attributes break, as the end of a sentence that begins with the file's name."""
    if absent := [name for name in (LABEL, KEYS) if name not in columns] + [
        name for name in NEEDED if name not in about
    ]:
        yield f"lacks {', '.join(absent)}"
        return
    for check in CHECKS:
        try:
            yield from check(columns, about)
        except (
            TypeError,
            KeyError,
            ValueError,
            AttributeError,
            IndexError,
            OverflowError,
        ) as error:
            yield f"is not as the format says in its {_title(check)} ({type(error).__name__}: {str(error)[:120]})"


def _title(check: Callable[..., Any]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def _classes(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    classes, ipc = about["classes"], about["ipc"]
    if (
        not isinstance(classes, list)
        or not classes
        or not all(isinstance(name, str) for name in classes)
    ):
        yield "has classes that are no list of names"
    elif len(set(classes)) < len(classes):
        yield "names a class twice"
    if not isinstance(ipc, int) or ipc < 1:
        yield f"has ipc {ipc!r}, expected 1 or more"


def _labels(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    label, count = columns[LABEL], len(about["classes"])
    if label.dtype != np.int64 or label.ndim != 1:
        yield f"has labels {label.dtype} {list(label.shape)}, expected int64 [N]"
    elif len(label) != count * about["ipc"] or not np.array_equal(
        label, np.arange(count).repeat(about["ipc"])
    ):
        yield f"has labels that are not {len(about['classes'])} classes x ipc {about['ipc']}, class by class"
    if columns[KEYS].dtype.kind != "U" or columns[KEYS].ndim != 1:
        yield f"has a {KEYS} that is no text [N]"


def _rows(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    names = modalities(columns)
    for part in ("formation", "normalisation"):
        if set(about[part]) != set(names) or not names:
            yield f"holds rows of {', '.join(names) or 'nothing'} and a {part} of {', '.join(about[part]) or 'nothing'}"
    for name in names:
        rows = columns[name]
        if rows.dtype != np.float32 or rows.ndim < 4 or 0 in rows.shape:
            yield f"holds {name} {rows.dtype} {list(rows.shape)}, expected numbers [N, ..., C, H, W]"
        elif not np.isfinite(rows).all():
            yield f"holds {name} with NaN or infinite values"
    if odd := {
        name: len(column) for name, column in columns.items() if len(column) != len(columns[LABEL])
    }:
        yield f"has {len(columns[LABEL])} labels and {odd} rows"


def _formation(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    counts = {}
    for name in modalities(columns):
        (high, wide), shape = about["formation"][name], columns[name].shape[-2:]
        counts[name] = high * wide
        if min(high, wide) < 1 or shape[0] % high or shape[1] % wide:
            yield f"cuts {name} of {shape[0]} x {shape[1]} into {high} x {wide} pieces, which do not divide it"
    if odd := [name for name, count in counts.items() if count < 1 or max(counts.values()) % count]:
        yield f"has {counts} pieces, and those of {odd[0]} do not divide the most"


def _normalisation(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    for name in modalities(columns):
        given, channels = about["normalisation"][name], columns[name].shape[-3]
        mean, std = (np.asarray(given[part], dtype=np.float64) for part in ("mean", "std"))
        others = np.array([given["scale"], given["fill"]], dtype=np.float64)
        if mean.shape != (channels,) or std.shape != (channels,):
            yield f"normalises {name} with {mean.size} means and {std.size} deviations, it has {channels} channels"
        elif (
            not all(np.isfinite(part).all() for part in (mean, std, others))
            or (std <= 0).any()
            or others[0] <= 0
        ):
            yield f"normalises {name} with numbers that are not finite, or a scale or deviation that is not positive"


def _soft_labels(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    soft = {
        name.removeprefix(SOFT): values for name, values in columns.items() if name.startswith(SOFT)
    }
    if soft and set(soft) != set(modalities(columns)):
        yield f"has soft labels of {', '.join(soft)} and rows of {', '.join(modalities(columns))}; expected one of each, or none"
        return
    for name, values in soft.items():
        expected = (
            len(columns[LABEL]),
            int(np.prod(about["formation"][name])),
            len(about["classes"]),
        )
        if values.dtype.kind != "f" or values.shape != expected:
            yield f"has soft labels of {name} {values.dtype} {list(values.shape)}, expected float32 {list(expected)}"
        elif not (values.min() >= 0 and np.abs(values.sum(-1) - 1).max() <= ROUNDING):
            yield f"has soft labels of {name} that are no probabilities"


CHECKS = (_classes, _labels, _rows, _formation, _normalisation, _soft_labels)
