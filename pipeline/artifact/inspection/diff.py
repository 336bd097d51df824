"""How two artifacts differ: what they say of themselves, their columns, their rows, and what their rows are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.artifact import read_artifact
from pipeline.artifact.inspection.findings import raw_rows
from pipeline.artifact.inspection.page import flat, scores_of
from pipeline.core.files import short

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


def diff(one: Path, other: Path) -> str:
    """A page of text with what differs, and one line if nothing does."""
    a, b = read_artifact(one), read_artifact(other)
    same = a.about["content_digest"] == b.about["content_digest"]
    lines = [
        f"{one} and {other} are the same set (digest {short(a.about['content_digest'])})"
        if same
        else f"{one} | {other}"
    ]
    parts = {
        "parameters": _said,
        "scores": _scores,
        "rows": _columns,
        "raw values: mean, deviation, lowest, highest": _statistics,
    }
    for title, differences in parts.items():
        if found := [f"  {name:<{WIDTH - 1}} {text}" for name, text in differences(a, b)]:
            lines += ["", title, *found]
    return "\n".join(lines)


def _said(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    yield from _apart(
        *(
            dict(_leaves("", {k: v for k, v in x.about.items() if k not in ELSEWHERE}))
            for x in (a, b)
        )
    )


def _scores(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    yield from _apart(*(dict(scores_of(x.about)) for x in (a, b)))


def _apart(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(ours.keys() | theirs.keys()):
        if (left := ours.get(name, ABSENT)) != (right := theirs.get(name, ABSENT)):
            yield name, f"{_cut(left)} | {_cut(right)}"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted name -> what stands there; lists of plain values are one leaf."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(f"{name}.{number}", inner)
    else:
        yield name, value


def _cut(value: Any) -> str:
    text = flat(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _columns(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    for name in sorted(a.columns.keys() | b.columns.keys()):
        left, right = a.columns.get(name), b.columns.get(name)
        if left is None or right is None:
            yield name, f"in the {'second' if left is None else 'first'} file alone"
        elif left.shape != right.shape:
            yield name, f"{list(left.shape)} | {list(right.shape)}"
        elif moved := int((left != right).reshape(len(left), -1).any(1).sum()):
            yield name, f"{moved} of {len(left)} differ{_distance(left, right)}"


def _distance(left: np.ndarray, right: np.ndarray) -> str:
    if left.dtype.kind != "f":
        return ""
    apart = left.astype(np.float64) - right
    return f", by {np.sqrt(np.square(apart).mean()):.4g} (root mean square), {np.abs(apart).max():.4g} at most"


def _statistics(a: Artifact, b: Artifact) -> Iterator[tuple[str, str]]:
    """Of both, where they are not the same."""
    if a.about["content_digest"] == b.about["content_digest"]:
        return
    for name in sorted(a.about["normalisation"].keys() & b.about["normalisation"].keys()):
        yield name, " | ".join(_summary(raw_rows(x, name)) for x in (a, b))


def _summary(raw: np.ndarray) -> str:
    return f"{raw.mean():.1f}, {raw.std():.1f}, {raw.min():.1f}, {raw.max():.1f}"
