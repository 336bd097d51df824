"""Check the content of an artifact against the format (docs/reference/artifact-format.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.files import digest_of
from pipeline.core.records import SOFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Check = Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Iterator[str]]

FORMAT = "avdistill"
VERSION = "1.1"
LABEL, KEYS = "label", "source_key"
REQUIRED = ("classes", "ipc", "formation", "normalisation", "units")
# The steps of `formation.split` as data, for readers in other languages: cut the last two
# dimensions into the grid, read the cells in that order, resize each to the full size, repeat them
# up to the number of the finest grid.
DECODING = {
    "cut": [-2, -1],
    "order": "column by column, top to bottom",
    "resize": "bilinear",
    "align_corners": False,
    "antialias": False,
    "pair": "training instance j takes piece j modulo the modality's pieces",
}
# The attributes of how samples were made of media: the parameters by modality, and the steps.
PREPROCESSING, PREPROCESSING_PARAMS, STEPS = (
    "preprocessing",
    "preprocessing_params",
    "preprocessing_steps",
)
# The steps that take those parameters, as data, for readers in other languages.
SAMPLING: dict[str, dict[str, Any]] = {
    "frame": {
        "moment": "the frame on display at each of `offsets`, in seconds from the second's start",
        "turn": "as the container says",
        "resize": "bicubic",
        "crop": "true: scaled to cover, the middle is cut out; false: squashed",
        "colours": "RGB, 0..255",
    },
    "logmel": {
        "channels": "mixed to mono by the weights of ffmpeg's stereo mix, which sum to 1",
        "range": [-1.0, 1.0],
        "window": "hann",
        "center": True,
        "pad": "reflect",
        "power": 2.0,
        "mel_scale": "htk",
        "mel_norm": None,
        "value": "10 * log10(max(power, 10 ** (floor_db / 10)))",
        "rounded_to": "float16",
    },
}
# modality -> its parameters -> the shape of a row that they make
SHAPES: dict[str, Callable[[Mapping[str, Any]], tuple[int, ...]]] = {
    "frame": lambda p: (len(p["offsets"]), 3, p["height"], p["width"]),
    "logmel": lambda p: (1, p["n_mels"], 1 + p["rate"] // p["hop"]),
}
# A soft label may sum to 1 up to this.
ROUNDING = 1e-3
# Errors that attributes of a wrong type or structure cause.
MALFORMED = (TypeError, KeyError, ValueError, AttributeError, IndexError, ArithmeticError)
MAX_DETAIL = 120


def list_modalities(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of the columns that hold rows.

    Args:
        columns: all columns.

    Example:
        list_modalities(artifact.columns)  # ["frame", "logmel"]
    """
    return [name for name in columns if name not in (LABEL, KEYS) and not name.startswith(SOFT)]


def find_faults(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rules of the format that an artifact breaks.

    Each is the end of a sentence that begins with the file's name.

    Args:
        columns: the columns, rows as float32.
        about: the attributes, with their JSON parsed.

    Example:
        artifact = read_unchecked(path)
        for fault in find_faults(artifact.columns, artifact.about):
            print(path, fault)  # seed0.h5 names a class twice
    """
    missing = [name for name in (LABEL, KEYS) if name not in columns]
    missing += [name for name in REQUIRED if name not in about]
    if missing:
        yield f"lacks {', '.join(missing)}"
        return
    for subject, check in CHECKS.items():
        try:
            yield from check(columns, about)
        except MALFORMED as error:
            detail = f"{type(error).__name__}: {str(error)[:MAX_DETAIL]}"
            yield f"does not follow the format in its {subject} ({detail})"


def _check_classes(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    classes, ipc = about["classes"], about["ipc"]
    is_list = isinstance(classes, list) and bool(classes)
    if not is_list or not all(isinstance(name, str) for name in classes):
        yield "has classes that are not a list of names"
    elif len(set(classes)) < len(classes):
        yield "names a class twice"
    if not isinstance(ipc, int) or ipc < 1:
        yield f"has ipc {ipc!r}, expected 1 or more"


def _check_labels(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    label, count, ipc = columns[LABEL], len(about["classes"]), about["ipc"]
    if label.dtype != np.int64 or label.ndim != 1:
        yield f"has labels {label.dtype} {list(label.shape)}, expected int64 [N]"
    elif len(label) != count * ipc or not np.array_equal(label, np.arange(count).repeat(ipc)):
        yield f"has labels that are not {count} classes x ipc {ipc}, class by class"
    if columns[KEYS].dtype.kind != "U" or columns[KEYS].ndim != 1:
        yield f"has a {KEYS} that is not text [N]"


def _check_rows(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    names = list_modalities(columns)
    for part in ("formation", "normalisation"):
        if set(about[part]) != set(names) or not names:
            described = ", ".join(about[part]) or "nothing"
            yield f"holds rows of {', '.join(names) or 'nothing'} and a {part} of {described}"
    for name in names:
        rows = columns[name]
        if rows.dtype != np.float32 or rows.ndim < 4 or 0 in rows.shape:
            shape = f"{rows.dtype} {list(rows.shape)}"
            yield f"holds {name} {shape}, expected numbers [N, ..., C, H, W]"
        elif not np.isfinite(rows).all():
            yield f"holds {name} with NaN or infinite values"
    count = len(columns[LABEL])
    if odd := {name: len(column) for name, column in columns.items() if len(column) != count}:
        yield f"has {count} labels and {odd} rows"


def _check_formation(columns: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Iterator[str]:
    counts = {}
    for name in list_modalities(columns):
        (high, wide), shape = about["formation"][name], columns[name].shape[-2:]
        counts[name] = high * wide
        if min(high, wide) < 1 or shape[0] % high or shape[1] % wide:
            yield (
                f"cuts {name} of {shape[0]} x {shape[1]} into {high} x {wide} pieces, "
                "which do not divide it"
            )
    if odd := [name for name, count in counts.items() if count < 1 or max(counts.values()) % count]:
        yield f"has {counts} pieces; the number of {odd[0]} does not divide the largest"


def _check_normalisation(
    columns: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> Iterator[str]:
    for name in list_modalities(columns):
        values, channels = about["normalisation"][name], columns[name].shape[-3]
        mean, std = (np.asarray(values[part], dtype=np.float64) for part in ("mean", "std"))
        numbers = np.array([values["scale"], values["fill"]], dtype=np.float64)
        if mean.shape != (channels,) or std.shape != (channels,):
            yield (
                f"normalises {name} with {mean.size} means and {std.size} deviations, "
                f"it has {channels} channels"
            )
            continue
        is_finite = all(np.isfinite(part).all() for part in (mean, std, numbers))
        if not is_finite or (std <= 0).any() or numbers[0] <= 0:
            yield (
                f"normalises {name} with numbers that are not finite, "
                "or a scale or deviation that is not positive"
            )


def _check_soft_labels(
    columns: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> Iterator[str]:
    names = list_modalities(columns)
    soft = {
        name.removeprefix(SOFT): values for name, values in columns.items() if name.startswith(SOFT)
    }
    if soft and set(soft) != set(names):
        yield (
            f"has soft labels of {', '.join(soft)} and rows of {', '.join(names)}; "
            "expected one of each, or none"
        )
        return
    for name, values in soft.items():
        pieces = int(np.prod(about["formation"][name]))
        expected = (len(columns[LABEL]), pieces, len(about["classes"]))
        if values.dtype.kind != "f" or values.shape != expected:
            yield (
                f"has soft labels of {name} {values.dtype} {list(values.shape)}, "
                f"expected float32 {list(expected)}"
            )
        elif not (values.min() >= 0 and np.abs(values.sum(-1) - 1).max() <= ROUNDING):
            yield f"has soft labels of {name} that are not probabilities"


def _check_preprocessing(
    columns: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> Iterator[str]:
    """Compare the parameters with their digest and with the rows; files of 1.0 have none."""
    if PREPROCESSING_PARAMS not in about:
        return
    params = about[PREPROCESSING_PARAMS]
    if digest_of(params) != about.get(PREPROCESSING):
        yield f"has {PREPROCESSING_PARAMS} that do not have the digest {PREPROCESSING}"
    for name in SHAPES.keys() & set(list_modalities(columns)):
        expected, shape = SHAPES[name](params[name]), columns[name].shape[1:]
        if shape != expected:
            yield (
                f"holds {name} rows {list(shape)}, and {PREPROCESSING_PARAMS} that make "
                f"{list(expected)}"
            )


# Subject -> its check
CHECKS: dict[str, Check] = {
    "classes": _check_classes,
    "labels": _check_labels,
    "rows": _check_rows,
    "formation": _check_formation,
    "normalisation": _check_normalisation,
    "soft labels": _check_soft_labels,
    "preprocessing": _check_preprocessing,
}
