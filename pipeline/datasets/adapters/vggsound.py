"""VGGSound (Chen et al., ICASSP 2020): ten-second clips of 309 classes; VGGS-10K is ten of them.

ROOT holds a CSV, id,start second,label,split, and the clips as <id>_<start, six digits>.mp4,
<id>_<start>.mp4, <id>_<start>_<end, in milliseconds>.mp4, or <id>.mp4 where the CSV has one clip of
that video.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.params import Names, UnitInterval
from pipeline.core.records import Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._splits import carve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="VGGSound",
    home="https://www.robots.ox.ac.uk/~vgg/data/vggsound/",
    licence="CC-BY-4.0",
    citation="Honglie Chen, Weidi Xie, Andrea Vedaldi, Andrew Zisserman, "
    '"VGGSound: A Large-Scale Audio-Visual Dataset", ICASSP 2020',
    by_id=True,
)
# Column -> its other names in a header.
COLUMNS = {
    "id": ("youtube id", "ytid", "yid", "vid", "video id"),
    "start second": ("start seconds", "start", "start sec", "num"),
    "label": ("class",),
    "split": ("train/test split",),
}
# The lists of one split, as train.csv and test.csv: a file's name and its label.
PAIR = {"file": ("filename", "id", "video id"), "label": ("class",)}
FILE = re.compile(r"(?P<id>.+)_(?P<start>[0-9]{1,6})(\.\w+)?")
CLIP_S = 10  # length of every file, from the start second of its video
MAX_START_S = 999_999  # six digits in a file name


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per row; official train and test.

    Val is carved from train; clips of a video stay together.

    Args:
        tables: names of the CSV; the first that exists is read.
        classes: a list, the name of a file with one class per line, or null for all.
        window: start and end in seconds of the ten-second file; null for all of it. AVDD takes
            second 4, [4, 5].
        val_fraction: of each label's training videos.
        seed: decides which videos are carved.
    """

    tables: Names
    classes: Names | str | None
    window: tuple[float, float] | None
    val_fraction: UnitInterval
    seed: int

    def __post_init__(self) -> None:
        if self.window and not 0 <= self.window[0] < self.window[1] <= CLIP_S:
            raise ParamsError(
                f"the window is {list(self.window)}; "
                f"expected [from, to], two seconds from 0 to {CLIP_S}, or null"
            )

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        table = list(_read_table(index, self.tables))
        classes = _lists.select_classes(index, self.classes, (row["label"] for _, row in table))
        counts = Counter(row["id"] for _, row in table)
        rows = [
            self._parse_row(where, row, counts[row["id"]] == 1)
            for where, row in table
            if row["label"].casefold() in classes
        ]
        clips = index.clips(rows, "<id>_<start, six digits>.mp4, <id>_<start>.mp4, <id>.mp4")
        return carve(clips, {"val": self.val_fraction}, self.seed)

    def _parse_row(self, where: str, row: dict[str, str], single: bool) -> AnnotatedClip:
        """Parse a row; a `single` clip of its video may have a file named after the video alone."""
        video = _lists.parse_file_id(where, row["id"])
        start = _lists.parse_integer(where, row["start second"], "start second", 0, MAX_START_S)
        name = f"{video}_{start:06d}"
        span = f"{video}_{1000 * start}_{1000 * (start + CLIP_S)}"
        begin, end = self.window or (0.0, None)
        return AnnotatedClip(
            stems=(name, f"{video}_{start}", span, *[video] * single),
            expected_path=f"{name}.mp4",
            name=name,
            label=_lists.parse_label(where, row["label"]),
            split=_lists.parse_split(where, row["split"]),
            group=video,
            start_s=begin,
            end_s=end,
        )


def _read_table(index: MediaIndex, tables: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place, column -> cell) of each row of the first table, or of all lists of pairs."""
    first = index.find_list(*tables)
    if not _lists.has_width(first, len(PAIR)):
        yield from _lists.read_list(first, COLUMNS)
        return
    paths = [index.lists[name] for name in tables if name in index.lists]
    for path in dict.fromkeys([first, *paths]):
        if _lists.has_width(path, len(PAIR)):
            yield from _read_pairs(path)


def _read_pairs(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a list of one split, `<id>_<start>.mp4,label`, with all columns."""
    split = _lists.find_split(path)
    if split is None:
        raise SourceError(
            f"{path} has two columns and no split in its name; "
            "name it train.csv or test.csv, or add start second and split to its rows"
        )
    for where, row in _lists.read_list(path, PAIR):
        match = FILE.fullmatch(row["file"])
        if match is None:
            raise SourceError(f"{where}: found {row['file']!r}; expected <id>_<start second>.mp4")
        yield (
            where,
            {
                "id": match["id"],
                "start second": match["start"],
                "label": row["label"],
                "split": split,
            },
        )
