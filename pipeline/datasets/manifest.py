"""The manifest: one CSV row per clip, sorted by id, and the clips' source in a file beside it.

Paths below its own folder are relative to it, so that it travels. The columns `fold` and `labels` are there where a clip has some.
"""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from pipeline.core.csv import read_rows, write_rows
from pipeline.core.errors import SourceError
from pipeline.core.files import read_json, write_json
from pipeline.core.paths import join_path
from pipeline.core.records import SPLITS, UNKNOWN, Clip, Source

if TYPE_CHECKING:
    from pathlib import Path

# Columns of datasets in numbered folds, and of those whose clips have several labels, which stand in one cell.
SPECIAL = ("fold", "labels")
BETWEEN = "|"
COLUMNS = [field.name for field in fields(Clip) if field.name not in SPECIAL]
_ID = re.compile(r"[A-Za-z0-9_-]+")


def source_of(path: Path) -> Path:
    """Where a manifest's source lies: its sibling .source.json, so that DVC can track it as an out of its own."""
    return path.with_suffix(".source.json")


def write_manifest(path: Path, clips: list[Clip], source: Source = UNKNOWN) -> None:
    """Write the source and the rows, each atomically; fewer than two labels, or a split that lacks one, is a SourceError."""
    labels = {clip.label for clip in clips}
    if len(labels) < 2:
        raise SourceError(
            f"found one class only, {', '.join(labels)}; a distilled set needs two or more label folders"
        )
    for split, names in find_missing(clips).items():
        raise SourceError(
            f"the {split} split has no clip of {', '.join(names)}; add clips, carve a larger fraction, or leave the class out"
        )
    write_json(source_of(path), asdict(source))
    special = {name for name in SPECIAL if any(getattr(clip, name) for clip in clips)}
    columns = [field.name for field in fields(Clip) if field.name in special | {*COLUMNS}]
    cells = (_format_row(clip, path.parent) for clip in clips)
    write_rows(path, columns, ([row[name] for name in columns] for row in cells))


def read_manifest(path: Path) -> list[Clip]:
    """Read the rows; a missing column, a bad id or a number that is none is a SourceError naming the line."""
    if not path.is_file():
        raise SourceError(f"{path} does not exist; `avdistill ingest` writes manifests")
    rows = list(read_rows(path, "a manifest, which `avdistill ingest` writes"))
    if not rows or set(COLUMNS) - rows[0][1].keys():
        raise SourceError(
            f"{path} is not a manifest; expected the columns {','.join(COLUMNS)} and at least one row"
        )
    clips = [_parse_clip(path, line, row) for line, row in rows]
    seen: set[str] = set()
    for clip in clips:
        if clip.clip_id in seen:
            raise SourceError(
                f"{path}: the clip id {clip.clip_id} stands there twice; ids must be unique"
            )
        seen.add(clip.clip_id)
    return clips


def read_source(path: Path) -> Source:
    """Where a manifest's clips come from: nothing is stated, if no source lies beside it."""
    place = source_of(path)
    try:
        return Source(**read_json(place, "ingest")) if place.is_file() else UNKNOWN
    except TypeError as error:
        raise SourceError(
            f"{place} says no source of clips ({error}); remove it, or run `avdistill ingest` again"
        ) from error


def find_missing(clips: list[Clip]) -> dict[str, list[str]]:
    """split -> labels that have a clip elsewhere and none there."""
    labels = {clip.label for clip in clips}
    found = {
        split: sorted(labels - {clip.label for clip in clips if clip.split == split})
        for split in SPLITS
    }
    return {split: names for split, names in found.items() if names}


def _format_row(clip: Clip, folder: Path) -> dict[str, object]:
    row = {
        **asdict(clip),
        "path": clip.path.removeprefix(f"{folder.absolute()}/"),
        "labels": BETWEEN.join(clip.labels),
    }
    return {key: "" if value is None else value for key, value in row.items()}


def _parse_clip(path: Path, number: int, row: dict[str, str]) -> Clip:
    where = f"{path}, line {number}"
    if not _ID.fullmatch(row["clip_id"]):
        raise SourceError(
            f"{where}: the clip id {row['clip_id']!r} may hold letters, digits, - and _ only"
        )
    if row["split"] not in SPLITS:
        raise SourceError(
            f"{where}: the split is {row['split']!r}; expected one of {', '.join(SPLITS)}"
        )
    try:
        start, end = float(row["start_s"]), float(row["end_s"]) if row["end_s"] else None
        size, fold = int(row["bytes"]), int(row["fold"]) if row.get("fold") else None
    except ValueError as error:
        raise SourceError(f"{where}: {error}") from error
    return Clip(
        clip_id=row["clip_id"],
        path=str(join_path(path.parent, row["path"])),
        label=row["label"],
        split=row["split"],
        start_s=start,
        end_s=end,
        group=row["group"],
        fold=fold,
        labels=tuple(row["labels"].split(BETWEEN)) if row.get("labels") else (),
        bytes=size,
        sha256=row["sha256"],
    )
