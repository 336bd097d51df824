"""A folder of videos or sounds (`split/label/*.mp4`, `label/*.mp4`), or a table.

The table is a CSV: path,label,split[,start,end][,group].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.csv import read_rows
from pipeline.core.errors import SourceError
from pipeline.core.params import UnitInterval
from pipeline.core.records import NOT_STATED, SPLITS, Clip, Source
from pipeline.datasets.adapters._names import NamedFile, make_ids_unique, name_files
from pipeline.datasets.adapters._splits import carve
from pipeline.datasets.adapters._tree import Contents, clip_of, list_clips
from pipeline.datasets.listing import TABLE

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = "path,label,split[,start,end][,group]"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A tree whose folders are the labels, a CSV, or a folder that holds `clips.csv`.

    Args:
        test_fraction: of each label's groups, on average, if there is no test split.
        val_fraction: of each label's training groups, if there is no val split.
        seed: of the hash that decides a group's split; each class has one or more in each split.
        licence: an SPDX id, or null if the owner states none.
        citation: authors, title and year in one line, or null.
    """

    test_fraction: UnitInterval
    val_fraction: UnitInterval
    seed: int
    licence: str | None
    citation: str | None

    def source(self, root: Path) -> Source:
        """Return the owner's licence and citation; `ingest` adds the section's name."""
        return Source(licence=self.licence or NOT_STATED, citation=self.citation or NOT_STATED)

    def clips(self, root: Path) -> list[Clip]:
        table = root if root.is_file() else root / TABLE
        clips = _read_table(table) if table.is_file() else list_clips(root)
        return carve(clips, {"test": self.test_fraction, "val": self.val_fraction}, self.seed)


def _read_table(table: Path) -> list[Clip]:
    rows = list(read_rows(table, COLUMNS))
    if not rows:
        raise SourceError(
            f"{table} has no rows; expected the columns {COLUMNS} and one row per clip"
        )
    missing = {"path", "label", "split"} - rows[0][1].keys()
    if missing:
        raise SourceError(
            f"{table} lacks the column {', '.join(sorted(missing))}; expected {COLUMNS}"
        )
    contents = Contents()
    files = name_files((row["path"] for _, row in rows), table.parent, contents)
    return make_ids_unique(
        (_parse_row(table, line, row, files[row["path"]], contents), files[row["path"]].names)
        for line, row in rows
    )


def _parse_row(
    table: Path, number: int, row: dict[str, str], file: NamedFile, contents: Contents
) -> Clip:
    where = f"{table}, line {number}"
    if row["split"] not in SPLITS:
        raise SourceError(
            f"{where}: the split is {row['split']!r}; expected one of {', '.join(SPLITS)}"
        )
    if not row["label"] or not row["path"]:
        raise SourceError(f"{where}: the {'path' if row['label'] else 'label'} is empty")
    try:
        start, end = float(row.get("start") or 0), float(row["end"]) if row.get("end") else None
    except ValueError as error:
        raise SourceError(f"{where}: start and end must be seconds, {error}") from error
    if not math.isfinite(start) or start < 0 or (end is not None and not start < end < math.inf):
        raise SourceError(
            f"{where}: the span is {start} to {end}; start must be 0 or more and end after it"
        )
    return clip_of(
        file.path,
        file.stem,
        row["label"],
        row["split"],
        start_s=start,
        end_s=end,
        group=row.get("group") or file.names[0],
        contents=contents,
    )
