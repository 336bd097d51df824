"""AVE (Tian et al., ECCV 2018): ten-second clips of 28 events.

The labels give the seconds in which an event is seen and heard. ROOT holds Annotations.txt,
trainSet.txt, valSet.txt and testSet.txt, and the clips as AVE/<id>.mp4 or <id>.mp4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.records import NOT_STATED, SPLITS, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="AVE",
    home="https://sites.google.com/view/audiovisualresearch",
    licence=NOT_STATED,
    citation="Yapeng Tian, Jing Shi, Bochen Li, Zhiyao Duan, Chenliang Xu, "
    '"Audio-Visual Event Localization in Unconstrained Videos", ECCV 2018',
    by_id=True,
)
# Column -> its other names in a header.
COLUMNS = {
    "Category": ("class", "label"),
    "VideoID": ("video", "id"),
    "Quality": (),
    "StartTime": ("start",),
    "EndTime": ("end",),
}
ALL = "Annotations.txt"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per row, its span the labelled seconds; official splits, no parameters.

    The lists put 18 videos that have two or three labels into two splits. They stay there, so that
    the test rows are the official ones.
    """

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        annotations = index.find_list(ALL)
        unused = {row: where for where, row in _read_rows(annotations)}
        rows = []
        for split in SPLITS:
            for where, row in _read_rows(index.find_list(f"{split}Set.txt")):
                if unused.pop(row, None) is None:
                    raise SourceError(
                        f"{where}: {'&'.join(row)} is not in {annotations}, or in two lists; "
                        "download the four files again"
                    )
                rows.append(_parse_row(where, row, split))
        if unused:
            cells, where = next(iter(unused.items()))
            raise SourceError(
                f"{where}: {'&'.join(cells)} is in none of the lists of the three splits; "
                "download the four files again"
            )
        return index.clips(rows, "AVE/<id>.mp4, <id>.mp4, <row of the list>.mp4")


def _read_rows(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (where, tuple(row[name] for name in COLUMNS))
        for where, row in _lists.read_list(path, COLUMNS, delimiter="&")
    ]


def _parse_row(where: str, row: tuple[str, ...], split: str) -> AnnotatedClip:
    category, video, _, start, end = row
    label, video = _lists.parse_label(where, category), _lists.parse_file_id(where, video)
    first, last = _lists.parse_span(where, start, end)
    return AnnotatedClip(
        stems=(video, "&".join(row)),
        expected_path=f"AVE/{video}.mp4",
        name=f"{video}_{label}_{first:g}-{last:g}",
        label=label,
        split=split,
        group=video,
        start_s=first,
        end_s=last,
    )
