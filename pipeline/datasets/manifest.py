"""The manifest: one CSV row per clip, sorted by id, and the clips' source in a file beside it.

Paths below its own folder are relative to it, so that the folder can be moved. The columns `fold`
and `labels` are written if a clip has them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from pipeline.core.csv import write_rows
from pipeline.core.errors import OutputError, SourceError
from pipeline.core.files import read_json, refuse_existing, write_json
from pipeline.core.paths import join_path, make_absolute, parse_path, to_path
from pipeline.core.records import SPLITS, UNKNOWN, Clip, Source, join_names
from pipeline.datasets.locations import find_below, refuse_undecodable
from pipeline.datasets.tables import parse_seconds, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.core.paths import AnyPath

# Columns of datasets in numbered folds, and of those whose clips have several labels.
OPTIONAL = ("fold", "labels")
# Between the labels of one cell.
LABEL_SEPARATOR = "|"
COLUMNS = [field.name for field in fields(Clip) if field.name not in OPTIONAL]
_ID = re.compile(r"[A-Za-z0-9_-]+")


def source_of(path: AnyPath) -> Path:
    """Return the file of a manifest's source: its sibling .source.json, which DVC tracks by itself.

    Args:
        path: of the manifest.
    """
    path = to_path(path)
    return path.with_suffix(".source.json")


def write_manifest(path: AnyPath, clips: list[Clip], source: Source = UNKNOWN) -> None:
    """Write the source and the rows, each file atomically.

    Args:
        path: of the manifest.
        clips: its rows.
        source: where they come from.

    Raises:
        SourceError: there are fewer than two labels, a split lacks one of them, or a path is not
            UTF-8.
    """
    path = to_path(path)
    labels = {clip.label for clip in clips}
    if len(labels) < 2:
        raise SourceError(
            f"found one class only, {join_names(sorted(labels))}; "
            "a distilled set needs two or more label folders"
        )
    for split, names in find_missing(clips).items():
        raise SourceError(
            f"the {split} split has no clip of {join_names(names)}; "
            "add clips, carve a larger fraction, or leave the class out"
        )
    cells = [_format_row(clip, path.parent) for clip in clips]
    refuse_undecodable(str(row["path"]) for row in cells)
    write_json(source_of(path), asdict(source))
    optional = {name for name in OPTIONAL if any(getattr(clip, name) for clip in clips)}
    columns = [field.name for field in fields(Clip) if field.name in optional | {*COLUMNS}]
    write_rows(path, columns, ([row[name] for name in columns] for row in cells))


def read_manifest(path: AnyPath) -> list[Clip]:
    """Read the rows of a manifest.

    Args:
        path: of the manifest.

    Raises:
        SourceError: a column is missing, an id is invalid or not unique, or a cell is no number;
            the message names the line.
    """
    path = to_path(path)
    if not path.is_file():
        raise SourceError(f"{path} does not exist; `avdistill ingest` writes manifests")
    expected = f"a manifest, which `avdistill ingest` writes: {','.join(COLUMNS)}"
    rows = list(read_rows(path, expected, (*COLUMNS, *OPTIONAL), COLUMNS))
    if not rows:
        raise SourceError(f"{path} has no rows; expected {expected}")
    clips = [_parse_clip(path, line, row) for line, row in rows]
    lines: dict[str, int] = {}
    for clip, (line, _) in zip(clips, rows, strict=True):
        first = lines.setdefault(clip.clip_id, line)
        if first != line:
            raise SourceError(
                f"{path}, lines {first} and {line}: both have the clip id {clip.clip_id}; "
                "ids must be unique"
            )
    return clips


def read_standing(path: AnyPath, force: bool) -> list[Clip]:
    """Return the rows of a manifest that is about to be replaced; none if there is no file.

    Args:
        path: of the manifest.
        force: whether another file may be replaced, too.

    Raises:
        OutputError: another file lies there, or it cannot be written.
    """
    path = to_path(path)
    if not path.is_file():
        refuse_existing(path)
        return []
    try:
        return read_manifest(path)
    except SourceError as error:
        if force:
            return []
        raise OutputError(
            f"{path} exists already; name another output, or replace it with --force ({error})"
        ) from error


def read_source(path: AnyPath) -> Source:
    """Read where a manifest's clips come from; without a file beside it, the source is UNKNOWN.

    Args:
        path: of the manifest.

    Raises:
        SourceError: the file beside the manifest is no source.
    """
    path = to_path(path)
    file = source_of(path)
    try:
        return Source(**read_json(file, "ingest")) if file.is_file() else UNKNOWN
    except TypeError as error:
        raise SourceError(
            f"{file} is not a source of clips ({error}); remove it, or run `avdistill ingest` again"
        ) from error


def find_missing(clips: list[Clip]) -> dict[str, list[str]]:
    """Return split -> labels that have clips in other splits only; an empty split is left out.

    Args:
        clips: rows of the manifest.
    """
    labels = {clip.label for clip in clips}
    present = {split: {clip.label for clip in clips if clip.split == split} for split in SPLITS}
    missing = {split: sorted(labels - present[split]) for split in SPLITS}
    # Without training clips there is nothing to distil; the other splits may be left out.
    return {
        split: names
        for split, names in missing.items()
        if names and (present[split] or split == "train")
    }


def limit_clips(clips: Iterable[Clip], count: int) -> list[Clip]:
    """Return `count` clips, of each class and split in turn, for a trial run.

    Each class has a clip in each of its splits, also where these are more than `count`.

    Args:
        clips: rows of the manifest.
        count: the limit.
    """
    counts: dict[tuple[str, str], int] = defaultdict(int)
    ranked = []
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        group = (clip.split, clip.label)
        ranked.append((counts[group], *group, clip))
        counts[group] += 1
    count = max(count, len(counts))
    return [clip for *_, clip in sorted(ranked, key=lambda item: item[:3])[:count]]


def _format_row(clip: Clip, folder: Path) -> dict[str, object]:
    path = find_below(parse_path(clip.path), folder) or clip.path
    row = {
        **asdict(clip),
        "path": f"./{path}" if path.startswith("~") else path,
        "labels": LABEL_SEPARATOR.join(clip.labels),
    }
    return {key: "" if value is None else value for key, value in row.items()}


def _parse_clip(path: Path, number: int, cells: dict[str, str]) -> Clip:
    where = f"{path}, line {number}"
    row = {name: cell.strip() for name, cell in cells.items()}
    if not _ID.fullmatch(row["clip_id"]):
        raise SourceError(
            f"{where}: the clip id {row['clip_id']!r} may hold letters, digits, - and _ only"
        )
    split = row["split"].casefold()
    if split not in SPLITS:
        raise SourceError(
            f"{where}: the split is {row['split']!r}; expected one of {', '.join(SPLITS)}"
        )
    if not cells["label"] or not cells["path"]:
        raise SourceError(
            f"{where}: the {'path' if cells['label'] else 'label'} is empty; fill it in"
        )
    try:
        start, end = parse_seconds(row["start_s"]) or 0.0, parse_seconds(row["end_s"])
        size, fold = int(row["bytes"]), int(row["fold"]) if row.get("fold") else None
    except ValueError as error:
        raise SourceError(f"{where}: {error}; expected numbers") from error
    return Clip(
        clip_id=row["clip_id"],
        path=make_absolute(join_path(path.parent, cells["path"])),
        label=cells["label"],
        split=split,
        start_s=start,
        end_s=end,
        group=cells["group"],
        fold=fold,
        labels=tuple(row["labels"].split(LABEL_SEPARATOR)) if row.get("labels") else (),
        bytes=size,
        sha256=row["sha256"],
    )
