"""MUSIC-21 (Zhao et al., ECCV 2018 and ICCV 2019): videos of 21 instruments, named by their id.

ROOT holds a JSON list, {"videos": {class: [ids]}}, or a CSV with vid,label[,split]. The videos are
<class>/<id>.mp4 or <id>.mp4, or lie in any other folder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import MediaError
from pipeline.core.params import Names, PositiveInt, UnitInterval
from pipeline.core.records import NOT_STATED, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._splits import carve
from pipeline.media import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="MUSIC-21",
    home="https://github.com/roudimit/MUSIC_dataset",
    licence=NOT_STATED,
    citation="Hang Zhao, Chuang Gan, Andrew Rouditchenko, Carl Vondrick, Josh McDermott, "
    'Antonio Torralba, "The Sound of Pixels", ECCV 2018; Hang Zhao, Chuang Gan, Wei-Chiu Ma, '
    'Antonio Torralba, "The Sound of Motions", ICCV 2019',
    by_id=True,
)
TABLES = {".csv", ".tsv"}
# Other names of a table's columns.
ALIASES = {"video_id": "vid", "youtube_id": "vid", "id": "vid", "class": "label"}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per video.

    There is no official split: test and val are carved, unless the CSV names splits.

    Args:
        lists: names of the list, MUSIC21_solo_videos.json, MUSIC_duet_videos.json or a CSV; the
            first that exists is read.
        seconds: whole seconds around the middle of each video; null for all of it.
        test_fraction: of each label's videos, if there is no test split.
        val_fraction: of each label's training videos, if there is no val split.
        seed: decides which videos are carved.
    """

    lists: Names
    seconds: PositiveInt | None
    test_fraction: UnitInterval
    val_fraction: UnitInterval
    seed: int

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        path = index.find_list(*self.lists)
        entries = _read_csv(path) if path.suffix.lower() in TABLES else _read_json(path)
        rows = [self._make_row(index, *entry) for entry in entries]
        clips = index.clips(rows, "<class>/<id>.mp4, solo/<class>/<id>.mp4, <id>.mp4")
        fractions = {"test": self.test_fraction, "val": self.val_fraction}
        return carve(clips, fractions, self.seed)

    def _make_row(self, index: MediaIndex, video: str, label: str, split: str) -> AnnotatedClip:
        path = index.find(video)
        start, end = _find_middle(path, self.seconds) if path and self.seconds else (0.0, None)
        name = f"{label}/{video}"
        return AnnotatedClip(
            stems=(video,),
            expected_path=f"{name}.mp4",
            name=name,
            label=label,
            split=split,
            group=video,
            start_s=start,
            end_s=end,
        )


def _read_json(path: Path) -> Iterator[tuple[str, str, str]]:
    document = _lists.read_document(path)
    plain = isinstance(document, dict) and all(isinstance(v, list) for v in document.values())
    classes = document if plain else _lists.get_entry(path.name, document, dict, "videos")
    for label, videos in classes.items():
        where = f"{path}, class {label!r}"
        if not isinstance(videos, list):
            raise _lists.make_error(where, videos, "a list of video ids")
        yield from (
            (_lists.parse_file_id(where, video), _lists.parse_label(where, label), "train")
            for video in videos
        )


def _read_csv(path: Path) -> Iterator[tuple[str, str, str]]:
    for where, row in _lists.read_table(path, ("vid", "label"), ALIASES, optional=("split",)):
        split = _lists.parse_split(where, row["split"] or "train")
        yield (
            _lists.parse_file_id(where, row["vid"]),
            _lists.parse_label(where, row["label"]),
            split,
        )


def _find_middle(path: Path, seconds: int) -> tuple[float, float | None]:
    """Return start and end of `seconds` around the middle.

    A file that is shorter or unreadable is taken as a whole; decode reports the reason.
    """
    try:
        end = probe(str(path)).end
    except MediaError:
        return 0.0, None
    start = math.floor((end - seconds) / 2)
    return (float(start), float(start + seconds)) if start >= 0 else (0.0, None)
