"""A folder of videos or sounds (`split/label/*.mp4`, `label/*.mp4`), or a table.

The table is a CSV: path,label[,split][,start,end][,group].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import UnitInterval
from pipeline.core.records import NOT_STATED, Clip, Source
from pipeline.datasets.adapters._names import NamedFile, make_ids_unique, name_files
from pipeline.datasets.adapters._splits import carve
from pipeline.datasets.adapters._table import TableRow, read_clip_rows
from pipeline.datasets.adapters._tree import Contents, clip_of, list_clips
from pipeline.datasets.listing import TABLE

if TYPE_CHECKING:
    from pathlib import Path


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
        fractions = {"test": self.test_fraction, "val": self.val_fraction}
        return _carve_rest(clips, fractions, self.seed)


def _read_table(table: Path) -> list[Clip]:
    contents = Contents()
    rows = read_clip_rows(table)
    files = name_files((row.path for row in rows), table.parent, contents)
    return make_ids_unique(
        (_make_clip(row, files[row.path], contents), files[row.path].names) for row in rows
    )


def _make_clip(row: TableRow, file: NamedFile, contents: Contents) -> Clip:
    return clip_of(
        file.path,
        file.stem,
        row.label,
        row.split,
        start_s=row.start_s,
        end_s=row.end_s,
        group=row.group or file.names[0],
        contents=contents,
    )


def _carve_rest(clips: list[Clip], fractions: dict[str, float], seed: int) -> list[Clip]:
    """Carve splits; of a table with some splits given, from the clips without one alone.

    A clip without a split follows another one of its group that has one.
    """
    given = {clip.group: clip.split for clip in reversed(clips) if clip.split}
    clips = [replace(clip, split=clip.split or given.get(clip.group, "")) for clip in clips]
    rest = [replace(clip, split="train") for clip in clips if not clip.split]
    pinned = {"train"} if rest else set()
    kept = [clip for clip in clips if clip.split in pinned]
    others = [clip for clip in clips if clip.split and clip.split not in pinned]
    carved = carve([*rest, *others], fractions, seed)
    return sorted([*carved, *kept], key=lambda clip: clip.clip_id)
