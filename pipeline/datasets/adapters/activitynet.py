"""ActivityNet 1.3 (Caba Heilbron et al., CVPR 2015): untrimmed videos with labelled segments of 200 activities.

ROOT holds the official activity_net.v1-3.min.json ({"database": {id: {subset, annotations}}}), or BMN's anet_anno_action.json with
the subsets in video_info_new.csv beside it, and the videos as v_<id>.mp4 or <id>.mp4, in any folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.errors import SourceError
from pipeline.core.params import Names, UnitInterval
from pipeline.core.records import NOT_STATED, Source
from pipeline.datasets.adapters import _lists
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._tree import carve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.core.records import Clip

SOURCE = Source(
    name="ActivityNet 1.3",
    home="http://activity-net.org",
    licence=NOT_STATED,
    citation='Fabian Caba Heilbron, Victor Escorcia, Bernard Ghanem, Juan Carlos Niebles, "ActivityNet: A Large-Scale Video '
    'Benchmark for Human Activity Understanding", CVPR 2015',
    by_id=True,
)
SUBSETS = "video_info_new.csv"  # of the BMN layout


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip per segment; a video without segments, as in the testing subset, gives none.

    Args:
        tables: names of the JSON, the first that is there is read.
        validation: what the official validation subset becomes: test, as usual, or val; the split that is left is carved.
    """

    tables: Names
    validation: Literal["test", "val"]
    test_fraction: UnitInterval
    val_fraction: UnitInterval
    seed: int

    def source(self, root: Path) -> Source:
        """What its authors say of it."""
        return SOURCE

    def clips(self, root: Path) -> list[Clip]:
        """All clips, sorted by id."""
        index = MediaIndex.scan(root)
        path = index.find_list(*self.tables)
        listed = _lists.read_document(path)
        official = isinstance(listed, dict) and "database" in listed
        videos = (
            _read_official(path, listed)
            if official
            else _read_bmn(path, listed, index.find_list(SUBSETS))
        )
        splits = {"training": "train", "validation": self.validation, "testing": "test"}
        rows = [row for video in videos for row in _parse_rows(*video, splits)]
        clips = index.clips(rows, "v_<id>.mp4, <id>.mp4")
        return carve(
            carve(clips, "train", "test", self.test_fraction, self.seed),
            "train",
            "val",
            self.val_fraction,
            self.seed,
        )


def _read_official(path: Path, listed: dict[str, Any]) -> Iterator[tuple[str, str, list[Any], str]]:
    """(where, id, segments, subset) of each video."""
    for video, entry in _lists.get_entry(str(path), listed, dict, "database").items():
        where = f"{path}, video {video}"
        yield (
            where,
            video,
            _lists.get_entry(where, entry, list, "annotations"),
            _lists.get_entry(where, entry, str, "subset"),
        )


def _read_bmn(path: Path, listed: Any, subsets: Path) -> Iterator[tuple[str, str, list[Any], str]]:
    if not isinstance(listed, dict):
        raise _lists.make_error(str(path), listed, "an object of videos")
    known = {
        row["video"]: row["subset"] for _, row in _lists.read_table(subsets, ("video", "subset"))
    }
    for video, entry in listed.items():
        where = f"{path}, video {video}"
        if video not in known:
            raise SourceError(
                f"{where}: not in {subsets}, which names its subset; fetch both files anew"
            )
        yield (
            where,
            video.removeprefix("v_"),
            _lists.get_entry(where, entry, list, "annotations"),
            known[video],
        )


def _parse_rows(
    where: str, video: str, segments: list[Any], subset: str, splits: dict[str, str]
) -> Iterator[AnnotatedClip]:
    stem = f"v_{_lists.parse_file_id(where, video)}"
    split = _lists.parse_split(where, subset, splits)
    for number, segment in enumerate(segments):
        here = f"{where}, segment {number}"
        ends = _lists.get_entry(here, segment, list, "segment")
        if len(ends) != 2:
            raise _lists.make_error(here, ends, "a start and an end")
        start, end = _lists.parse_span(here, *ends)
        label = _lists.parse_label(here, _lists.get_entry(here, segment, str, "label"))
        yield AnnotatedClip(
            stems=(stem, video),
            place=f"{stem}.mp4",
            name=f"{stem}_{number}",
            label=label,
            split=split,
            group=stem,
            start_s=start,
            end_s=end,
        )
