"""ActivityNet 1.3 (Caba Heilbron et al., CVPR 2015): untrimmed videos, segments of 200 activities.

ROOT holds the official activity_net.v1-3.min.json ({"database": {id: {subset, annotations}}}), or
BMN's anet_anno_action.json with the subsets in video_info_new.csv beside it. The videos are
v_<id>.mp4 or <id>.mp4, in any folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.errors import SourceError
from pipeline.core.params import Names, UnitInterval
from pipeline.core.records import NOT_STATED, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._splits import carve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="ActivityNet 1.3",
    home="http://activity-net.org",
    licence=NOT_STATED,
    citation="Fabian Caba Heilbron, Victor Escorcia, Bernard Ghanem, Juan Carlos Niebles, "
    '"ActivityNet: A Large-Scale Video Benchmark for Human Activity Understanding", CVPR 2015',
    by_id=True,
)
SUBSETS = "video_info_new.csv"  # in the BMN layout
# A word in the name of a table of one subset -> the subset.
SUBSET_OF = {"train": "training", "val": "validation", "test": "testing"}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per segment; a video without segments, as in the testing subset, gives none.

    Args:
        tables: names of the JSON; the first that exists is read.
        validation: the split of the official validation subset: test, as usual, or val; the other
            one is carved.
        test_fraction: of each label's videos, if there is no test split.
        val_fraction: of each label's training videos, if there is no val split.
        seed: decides which videos are carved.
    """

    tables: Names
    validation: Literal["test", "val"]
    test_fraction: UnitInterval
    val_fraction: UnitInterval
    seed: int

    def source(self, root: Path) -> Source:
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        index = MediaIndex.scan(root)
        videos = _read_videos(index, self.tables)
        splits = {"training": "train", "validation": self.validation, "testing": "test"}
        rows = [row for video in videos for row in _parse_rows(*video, splits)]
        clips = index.clips(rows, "v_<id>.mp4, <id>.mp4")
        fractions = {"test": self.test_fraction, "val": self.val_fraction}
        return carve(clips, fractions, self.seed)


def _read_videos(
    index: MediaIndex, tables: tuple[str, ...]
) -> Iterator[tuple[str, str, list[Any], str]]:
    """Yield (place, id, segments, subset) of each video of the first table that exists.

    A table of one subset, as its name says, is read with the others of its kind.
    """
    first = index.find_list(*tables)
    parts = [index.lists[name] for name in tables if name in index.lists]
    parts = [path for path in parts if _lists.find_split(path)]
    for path in parts if first in parts else [first]:
        document = _lists.read_document(path)
        if isinstance(document, dict) and "database" in document:
            yield from _read_official(path, document)
        else:
            yield from _read_bmn(path, document, index)


def _read_official(
    path: Path, document: dict[str, Any]
) -> Iterator[tuple[str, str, list[Any], str]]:
    """Yield (place, id, segments, subset) of each video."""
    for video, entry in _lists.get_entry(str(path), document, dict, "database").items():
        where = f"{path}, video {video}"
        yield (
            where,
            re.sub("^v_(?=.{11}$)", "", video),
            _lists.get_entry(where, entry, list, "annotations"),
            _lists.get_entry(where, entry, str, "subset"),
        )


def _read_bmn(
    path: Path, document: Any, index: MediaIndex
) -> Iterator[tuple[str, str, list[Any], str]]:
    """Yield (place, id, segments, subset) of each video."""
    if not isinstance(document, dict):
        raise _lists.make_error(str(path), document, "an object of videos")
    subset_of = _read_subsets(path, document, index)
    for video, entry in document.items():
        where = f"{path}, video {video}"
        if video not in subset_of:
            raise SourceError(
                f"{where}: found no subset in it or in {SUBSETS}; download both files again"
            )
        yield (
            where,
            video.removeprefix("v_"),
            _lists.get_entry(where, entry, list, "annotations"),
            subset_of[video],
        )


def _read_subsets(path: Path, videos: dict[str, Any], index: MediaIndex) -> dict[str, str]:
    """Return video -> subset, which stands in its entry, the file's name, or another table."""
    part = _lists.find_split(path)
    if part is not None:
        return dict.fromkeys(videos, SUBSET_OF[part])
    inside = {
        video: entry["subset"]
        for video, entry in videos.items()
        if isinstance(entry, dict) and isinstance(entry.get("subset"), str)
    }
    if inside:
        return inside
    table = _lists.read_table(index.find_list(SUBSETS), ("video", "subset"))
    return {row["video"]: row["subset"] for _, row in table}


def _parse_rows(
    where: str, video: str, segments: list[Any], subset: str, splits: dict[str, str]
) -> Iterator[AnnotatedClip]:
    stem = f"v_{_lists.parse_file_id(where, video)}"
    split = _lists.parse_split(where, subset, splits)
    for number, segment in enumerate(segments):
        place = f"{where}, segment {number}"
        span = _lists.get_entry(place, segment, list, "segment")
        if len(span) != 2:
            raise _lists.make_error(place, span, "a start and an end")
        start, end = _lists.parse_span(place, *span)
        label = _lists.parse_label(place, _lists.get_entry(place, segment, str, "label"))
        yield AnnotatedClip(
            stems=(stem, video),
            expected_path=f"{stem}.mp4",
            name=f"{stem}_{number}",
            label=label,
            split=split,
            group=stem,
            start_s=start,
            end_s=end,
        )
