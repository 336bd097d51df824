"""Describe an artifact on a page of text: set, origin, licence, method and scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.artifact.yardstick import (
    describe_students,
    describe_test_split,
    format_whole,
    name_measurement,
)
from pipeline.core.files import shorten_digest
from pipeline.core.paths import to_path
from pipeline.core.records import SOFT, join_names
from pipeline.core.scores import find_plain_metrics, format_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.artifact import Artifact
    from pipeline.core.paths import AnyPath

WIDTH = 18
# Characters shown of an attribute that no section shows.
MAX_CHARACTERS = 100
# Attributes that a section shows or rewords; the last section shows all others.
COVERED = {
    "format",
    "format_version",
    "content_digest",
    "package_version",
    "classes",
    "ipc",
    "formation",
    "decoding",
    "packing",
    "pieces",
    "sources",
    "source_ids",
    "source_shards",
    "preprocessing",
    "preprocessing_params",
    "preprocessing_steps",
    "method",
    "plugin",
    "seed",
    "params",
    "tuning",
    "learned_rates",
    "normalisation",
    "units",
    "scores",
    "evaluation",
}


def render_page(path: AnyPath) -> str:
    """Describe an artifact on a page of text.

    Args:
        path: the .h5 file.

    Raises:
        ArtifactError: the file is no artifact, or does not follow the format.
    """
    path = to_path(path)
    artifact = read_artifact(path)
    about = artifact.about
    head = f"{path}: {_format_bytes(path.stat().st_size)}, format {about['format_version']}"
    parts = {
        "set": _describe_set,
        "origin": _describe_origin,
        "method": _describe_method,
        "scores": _describe_scores,
        "other": _describe_others,
    }
    lines = [head]
    for title, describe in parts.items():
        if entries := [f"  {name:<{WIDTH - 1}} {text}" for name, text in describe(artifact)]:
            lines += ["", title, *entries]
    return "\n".join(lines)


def list_scores(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each score, and its mean, deviation, interval and number of students.

    Args:
        about: the attributes of an artifact.
    """
    yield from ((name, own) for name, own, _ in _list_scores(about))


def _list_scores(about: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (name, score, the same on the whole data or "") of each score."""
    for entry in about.get("scores", []):
        for metric, views in entry["metrics"].items():
            plain = metric in find_plain_metrics(entry)
            for view, summary in views.items():
                name = f"{name_measurement(entry)} {metric} {view}"
                own = f"{format_score(summary, plain=plain)} (n = {summary['n']})"
                yield name, own, format_whole(entry, metric, view, plain=plain)


def format_value(value: Any) -> str:
    """Format a parameter on one line: mappings as `a 1, b 2`, lists as `1, 2`, rounded numbers.

    Args:
        value: parsed JSON; a list of two integers is a grid, `1 x 2`.
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {format_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        is_grid = len(value) == 2 and all(isinstance(number, int) for number in value)
        return (" x " if is_grid else ", ").join(map(format_value, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _format_bytes(count: int) -> str:
    """Format a number of bytes, 5321 as "5.3 kB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _describe_set(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about, columns = artifact.about, artifact.columns
    grids = {name: f"{high} x {wide}" for name, (high, wide) in about["formation"].items()}
    count = max(high * wide for high, wide in about["formation"].values()) * len(columns["label"])
    cells = f"{len(about['classes'])} classes x IPC {about['ipc']}"
    yield "rows", f"{len(columns['label'])}: {cells}, {count} training instances"
    for name, grid in grids.items():
        whole = "whole" if grid == "1 x 1" else f"{grid} pieces each"
        soft = ", soft labels" if f"{SOFT}{name}" in columns else ""
        packing = ", stored as integers" if name in about.get("packing", {}) else ""
        yield name, f"{_format_shape(columns[name].shape)}, {whole}{soft}{packing}"
    yield "classes", join_names(about["classes"])
    yield "digest", about["content_digest"]


def _describe_origin(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about = artifact.about
    for source in _list_mappings(about.get("sources")):
        yield "source", str(source.get("name", "not named"))
        stated = [
            name for name in ("home", "licence", "citation", "clip_licences") if source.get(name)
        ]
        yield from ((name.replace("_", " "), format_value(source[name])) for name in stated)
    if "sources" not in about:
        yield "licence", "not stated: no source is named; ask the sender of the file"
    if ids := about.get("source_ids"):
        yield "source ids", f"{len(ids)}, the attribute source_ids lists them"
    for name in ("source_shards", "preprocessing"):
        yield name.replace("_", " "), shorten_digest(str(about.get(name, "not stated")))
    params = about.get("preprocessing_params", {"values": "not held; only their digest is known"})
    yield from ((f"  {name}", format_value(values)) for name, values in params.items())


def _list_mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list, or the only one; other content of forged files is left out."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value or () if isinstance(item, dict)]


def _describe_method(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about = artifact.about
    method, seed, version = (
        about.get(name, "not stated") for name in ("method", "seed", "package_version")
    )
    plugin = f" (plugin {about['plugin']})" if "plugin" in about else ""
    yield "method", f"{method}{plugin}, seed {seed}, by avdistill {version}"
    params = about.get("params")
    if isinstance(params, dict):
        yield from ((f"  {name}", format_value(value)) for name, value in params.items())
    if tuning := about.get("tuning"):
        yield "chosen", f"among {len(tuning)} candidates, on the validation split"
    if rates := about.get("learned_rates"):
        yield "learned rates", format_value(rates)
    for name, normalisation in about["normalisation"].items():
        mean, std = (format_value(normalisation[part]) for part in ("mean", "std"))
        yield f"{name} is", f"(raw x {normalisation['scale']:.6g} - {mean}) / {std}"


def _describe_scores(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about = artifact.about
    if not about.get("scores"):
        yield "none", "`avdistill evaluate`, then `avdistill publish`"
        return
    if test := describe_test_split(about):
        yield "test split", test
    for entry in about["scores"]:
        if students := describe_students(about, entry):
            yield f"{name_measurement(entry)} students", students
    for name, own, whole in _list_scores(about):
        yield name, f"{own}; whole data {whole}" if whole else own


def _describe_others(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """Yield the attributes that no other section shows, truncated."""
    for name, value in artifact.about.items():
        if name not in COVERED:
            text = format_value(value)
            yield name, text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
