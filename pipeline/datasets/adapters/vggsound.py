"""VGGSound (Chen et al., ICASSP 2020): ten-second clips of 309 classes; VGGS-10K is ten of them.

ROOT holds a CSV, id,start second,label,split, and the clips as <id>_<start, six digits>.mp4,
<id>_<start>.mp4, <id>_<start>_<end, in milliseconds>.mp4, or <id>.mp4 where the CSV has one clip of
that video.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import ParamsError
from pipeline.core.params import Names, UnitInterval
from pipeline.core.records import SPLITS, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._splits import carve

if TYPE_CHECKING:
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
COLUMNS = ("id", "start second", "label", "split")
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
        cells = _lists.read_cells(index.find_list(*self.tables), COLUMNS)
        table = [(where, row) for where, row in cells if row[3] != "split"]  # drops a header
        classes = _lists.select_classes(index, self.classes, (row[2] for _, row in table))
        counts = Counter(row[0] for _, row in table)
        rows = [
            self._parse_row(where, row, counts[row[0]] == 1)
            for where, row in table
            if row[2].casefold() in classes
        ]
        clips = index.clips(rows, "<id>_<start, six digits>.mp4, <id>_<start>.mp4, <id>.mp4")
        return carve(clips, {"val": self.val_fraction}, self.seed)

    def _parse_row(self, where: str, row: list[str], single: bool) -> AnnotatedClip:
        """Parse a row; a `single` clip of its video may have a file named after the video alone."""
        video = _lists.parse_file_id(where, row[0])
        start = _lists.parse_integer(where, row[1], "start second", 0, MAX_START_S)
        name = f"{video}_{start:06d}"
        span = f"{video}_{1000 * start}_{1000 * (start + CLIP_S)}"
        begin, end = self.window or (0.0, None)
        return AnnotatedClip(
            stems=(name, f"{video}_{start}", span, *[video] * single),
            expected_path=f"{name}.mp4",
            name=name,
            label=_lists.parse_label(where, row[2]),
            split=_lists.parse_split(where, row[3], dict(zip(SPLITS, SPLITS, strict=True))),
            group=video,
            start_s=begin,
            end_s=end,
        )
