"""Compare two artifacts: attributes, scores, columns and rows, and statistics of raw values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.artifact import read_artifact
from pipeline.artifact.inspection.findings import compute_raw_rows
from pipeline.artifact.inspection.page import format_value, list_scores
from pipeline.core.files import shorten_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.artifact import Artifact
    from pipeline.core.paths import AnyPath

# Characters shown of a value that differs.
MAX_CHARACTERS = 60
ABSENT = "absent"
WIDTH = 34
# Attributes that other sections show, or that follow from those.
SHOWN_ELSEWHERE = ("content_digest", "scores", "evaluation", "tuning")


def compare_artifacts(first: AnyPath, second: AnyPath) -> str:
    """Describe the differences between two artifacts; a single line if there are none.

    Args:
        first: an artifact.
        second: another one.

    Raises:
        ArtifactError: one of them is no such file, or does not follow the format.
    """
    a, b = read_artifact(first), read_artifact(second)
    digest = a.about["content_digest"]
    if digest == b.about["content_digest"]:
        lines = [f"{first} and {second} are the same set (digest {shorten_digest(digest)})"]
    else:
        lines = [f"{first} | {second}"]
    parts = {
        "parameters": _compare_attributes,
        "scores": _compare_scores,
        "rows": _compare_columns,
        "raw values: mean, deviation, lowest, highest": _compare_statistics,
    }
    for title, differences in parts.items():
        if entries := [f"  {name:<{WIDTH - 1}} {text}" for name, text in differences(a, b)]:
            lines += ["", title, *entries]
    return "\n".join(lines)


def _compare_attributes(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    left, right = (
        {name: value for name, value in each.about.items() if name not in SHOWN_ELSEWHERE}
        for each in (a, b)
    )
    yield from _compare_values(dict(_flatten("", left)), dict(_flatten("", right)))


def _compare_scores(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    yield from _compare_values(dict(list_scores(a.about)), dict(list_scores(b.about)))


def _compare_values(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(left.keys() | right.keys()):
        if (one := left.get(name, ABSENT)) != (other := right.get(name, ABSENT)):
            yield name, f"{_truncate(one)} | {_truncate(other)}"


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf; a list of plain values is one leaf."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _flatten(f"{name}.{number}", inner)
    else:
        yield name, value


def _truncate(value: Any) -> str:
    text = format_value(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _compare_columns(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    for name in sorted(a.columns.keys() | b.columns.keys()):
        left, right = a.columns.get(name), b.columns.get(name)
        if left is None or right is None:
            yield name, f"in the {'second' if left is None else 'first'} file alone"
        elif left.shape != right.shape:
            yield name, f"{list(left.shape)} | {list(right.shape)}"
        elif count := int((left != right).reshape(len(left), -1).any(1).sum()):
            yield name, f"{count} of {len(left)} differ{_format_distance(left, right)}"


def _format_distance(left: np.ndarray, right: np.ndarray) -> str:
    if left.dtype.kind != "f":
        return ""
    difference = left.astype(np.float64) - right
    rms, largest = np.sqrt(np.square(difference).mean()), np.abs(difference).max()
    return f", by {rms:.4g} (root mean square), {largest:.4g} at most"


def _compare_statistics(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    """Yield statistics of the raw rows of both; none if both are the same set."""
    if a.about["content_digest"] == b.about["content_digest"]:
        return
    for name in sorted(a.about["normalisation"].keys() & b.about["normalisation"].keys()):
        statistics = [_format_statistics(compute_raw_rows(each, name)) for each in (a, b)]
        yield name, " | ".join(statistics)


def _format_statistics(raw: np.ndarray) -> str:
    return f"{raw.mean():.1f}, {raw.std():.1f}, {raw.min():.1f}, {raw.max():.1f}"
