"""How two artifacts differ: what they say of themselves, their columns, their rows, and what their rows are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.artifact import read_artifact
from pipeline.artifact.inspection.findings import raw_rows
from pipeline.artifact.inspection.page import format_value, scores_of
from pipeline.core.files import shorten_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.artifact import Artifact

# Of a value that differs, so much is shown.
SHOWN = 60
ABSENT = "absent"
WIDTH = 34
# What other sections tell, or follows from what they tell.
ELSEWHERE = ("content_digest", "scores", "evaluation", "tuning")


def compare_artifacts(one: Path, other: Path) -> str:
    """A page of text with what differs, and one line if nothing does."""
    a, b = read_artifact(one), read_artifact(other)
    same = a.about["content_digest"] == b.about["content_digest"]
    lines = [
        f"{one} and {other} are the same set (digest {shorten_digest(a.about['content_digest'])})"
        if same
        else f"{one} | {other}"
    ]
    parts = {
        "parameters": _compare_attributes,
        "scores": _compare_scores,
        "rows": _compare_columns,
        "raw values: mean, deviation, lowest, highest": _compare_statistics,
    }
    for title, differences in parts.items():
        if found := [f"  {name:<{WIDTH - 1}} {text}" for name, text in differences(a, b)]:
            lines += ["", title, *found]
    return "\n".join(lines)


def _compare_attributes(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    yield from _compare_values(
        *(
            dict(_flatten("", {k: v for k, v in x.about.items() if k not in ELSEWHERE}))
            for x in (a, b)
        )
    )


def _compare_scores(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    yield from _compare_values(*(dict(scores_of(x.about)) for x in (a, b)))


def _compare_values(
    ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in sorted(ours.keys() | theirs.keys()):
        if (left := ours.get(name, ABSENT)) != (right := theirs.get(name, ABSENT)):
            yield name, f"{_truncate(left)} | {_truncate(right)}"


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted name -> what stands there; lists of plain values are one leaf."""
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
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _compare_columns(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    for name in sorted(a.columns.keys() | b.columns.keys()):
        left, right = a.columns.get(name), b.columns.get(name)
        if left is None or right is None:
            yield name, f"in the {'second' if left is None else 'first'} file alone"
        elif left.shape != right.shape:
            yield name, f"{list(left.shape)} | {list(right.shape)}"
        elif moved := int((left != right).reshape(len(left), -1).any(1).sum()):
            yield name, f"{moved} of {len(left)} differ{_format_distance(left, right)}"


def _format_distance(left: np.ndarray, right: np.ndarray) -> str:
    if left.dtype.kind != "f":
        return ""
    apart = left.astype(np.float64) - right
    return f", by {np.sqrt(np.square(apart).mean()):.4g} (root mean square), {np.abs(apart).max():.4g} at most"


def _compare_statistics(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    """Of both, where they are not the same."""
    if a.about["content_digest"] == b.about["content_digest"]:
        return
    for name in sorted(a.about["normalisation"].keys() & b.about["normalisation"].keys()):
        yield name, " | ".join(_format_statistics(raw_rows(x, name)) for x in (a, b))


def _format_statistics(raw: np.ndarray) -> str:
    return f"{raw.mean():.1f}, {raw.std():.1f}, {raw.min():.1f}, {raw.max():.1f}"
