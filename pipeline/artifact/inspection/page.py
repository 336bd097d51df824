"""An artifact as a page of text: what it is, from what, how it was made, what it is worth, under which licence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.core.files import shorten_digest
from pipeline.core.records import SOFT
from pipeline.core.scores import find_plain_metrics, format_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.artifact import Artifact

WIDTH = 18
# Of what no section knows, so many characters are shown.
MOST = 100
# What the sections show, or say in other words.
TOLD = {
    *(
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
    ),
    *(
        "sources",
        "source_ids",
        "source_shards",
        "preprocessing",
        "method",
        "plugin",
        "seed",
        "params",
        "tuning",
        "learned_rates",
    ),
    *("normalisation", "units", "pieces", "scores", "evaluation"),
}


def render_page(path: Path) -> str:
    """The page; an ArtifactError if the file is none of the format."""
    artifact = read_artifact(path)
    about = artifact.about
    head = f"{path}: {format_bytes(path.stat().st_size)}, format {about['format_version']}"
    parts = {
        "what": _describe_set,
        "from what": _describe_origin,
        "how": _describe_method,
        "scores": _describe_scores,
        "also": _describe_rest,
    }
    lines = [head]
    for title, lines_of in parts.items():
        if found := [f"  {name:<{WIDTH - 1}} {text}" for name, text in lines_of(artifact)]:
            lines += ["", title, *found]
    return "\n".join(lines)


def format_bytes(count: int) -> str:
    """5321 -> 5.3 kB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _describe_set(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about, columns = artifact.about, artifact.columns
    grids = {name: f"{high} x {wide}" for name, (high, wide) in about["formation"].items()}
    count = max(high * wide for high, wide in about["formation"].values()) * len(columns["label"])
    yield (
        "rows",
        f"{len(columns['label'])}: {len(about['classes'])} classes x IPC {about['ipc']}, {count} training instances",
    )
    for name, grid in grids.items():
        whole = "whole" if grid == "1 x 1" else f"{grid} pieces each"
        soft = ", soft labels" if f"{SOFT}{name}" in columns else ""
        packing = ", stored as whole numbers" if name in about.get("packing", {}) else ""
        yield name, f"{_format_shape(columns[name].shape)}, {whole}{soft}{packing}"
    yield "classes", ", ".join(about["classes"])
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
        yield "licence", "not stated: no source is named; ask who sent the file"
    if ids := about.get("source_ids"):
        yield "source ids", f"{len(ids)}, the attribute source_ids lists them"
    for name in ("source_shards", "preprocessing"):
        yield name.replace("_", " "), shorten_digest(str(about.get(name, "not stated")))


def _list_mappings(value: Any) -> list[Mapping[str, Any]]:
    return (
        [value]
        if isinstance(value, dict)
        else [one for one in value or () if isinstance(one, dict)]
    )


def _describe_method(artifact: Artifact) -> Iterator[tuple[str, str]]:
    about = artifact.about
    method, seed, version = (
        about.get(name, "not stated") for name in ("method", "seed", "package_version")
    )
    plugin = f" (plugin {about['plugin']})" if "plugin" in about else ""
    yield "method", f"{method}{plugin}, seed {seed}, by avdistill {version}"
    params = about.get("params")
    yield from (
        (f"  {name}", format_value(value))
        for name, value in (params if isinstance(params, dict) else {}).items()
    )
    if tuning := about.get("tuning"):
        yield "chosen", f"among {len(tuning)} candidates, on the validation split"
    if rates := about.get("learned_rates"):
        yield "learned rates", format_value(rates)
    for name, how in about["normalisation"].items():
        yield (
            f"{name} is",
            f"(raw x {how['scale']:.6g} - {format_value(how['mean'])}) / {format_value(how['std'])}",
        )


def _describe_scores(artifact: Artifact) -> Iterator[tuple[str, str]]:
    found = list(scores_of(artifact.about))
    yield from found or [("none", "`avdistill evaluate`, then `avdistill publish`")]


def scores_of(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was measured -> mean, deviation and interval."""
    for entry in about.get("scores", []):
        name = " ".join(str(entry[key]) for key in ("protocol", "network", "head", "task"))
        for metric, views in entry["metrics"].items():
            plain = metric in find_plain_metrics(entry)
            yield from (
                (f"{name} {metric} {view}", f"{format_score(x, plain=plain)} (n = {x['n']})")
                for view, x in views.items()
            )


def _describe_rest(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """What stands nowhere else on the page."""
    for name, value in artifact.about.items():
        if name not in TOLD:
            text = format_value(value)
            yield name, text if len(text) <= MOST else f"{text[:MOST]}..."


def format_value(value: Any) -> str:
    """A parameter in one line: mappings as `a 1, b 2`, lists as `1, 2`, short numbers."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {format_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        grid = len(value) == 2 and all(isinstance(number, int) for number in value)
        return (" x " if grid else ", ").join(map(format_value, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
