"""Copies of the known datasets' lists, as other projects publish them, give the same clips."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.core.errors import SourceError
from tests.toys.sources import TOYS, dataset

if TYPE_CHECKING:
    from collections.abc import Callable

# A change of a root, in place.
Change = Callable[[Path], object] if TYPE_CHECKING else Any


def edit(name: str, change: Callable[[str], str]) -> Change:
    """Change the text of all lists of a name."""

    def apply(root: Path) -> None:
        paths = list(root.rglob(name))
        assert paths
        for path in paths:
            path.write_text(change(path.read_text()))

    return apply


def retable(
    name: str, change: Callable[[list[list[str]]], list[list[str]]], delimiter: str = ","
) -> Change:
    """Change the rows of a CSV."""

    def apply(text: str) -> str:
        out = io.StringIO()
        rows = change(list(csv.reader(io.StringIO(text))))
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
        return out.getvalue()

    return edit(name, apply)


def rename(name: str, new: str) -> Change:
    def apply(root: Path) -> None:
        for path in list(root.rglob(name)):
            path.rename(path.with_name(new))

    return apply


def index(rows: list[list[str]]) -> list[list[str]]:
    """Add a column of numbers without a name, as pandas does."""
    return [["" if i == 0 else str(i - 1), *row] for i, row in enumerate(rows)]


def turn(rows: list[list[str]]) -> list[list[str]]:
    return [row[::-1] for row in rows]


def keep(rows: list[list[str]]) -> list[list[str]]:
    return rows


def head(*names: str) -> Callable[[list[list[str]]], list[list[str]]]:
    return lambda rows: [list(names), *rows]


def split_vggsound(root: Path, suffix: str, delimiter: str, *header: str) -> None:
    """Write a list of pairs for each split, in place of the one list."""
    rows = list(csv.reader(io.StringIO((root / "vggsound.csv").read_text())))
    (root / "vggsound.csv").unlink()
    for split in ("train", "test"):
        with (root / f"vgg-{split}_1.csv").open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerows([header] * bool(header))
            writer.writerows(
                [f"{video}_{int(start):06d}{suffix}", label]
                for video, start, label, where in rows
                if where == split
            )


def widen_activitynet(root: Path, prefix: str) -> None:
    """Write ids of eleven characters, with a prefix in the list alone."""
    path = root / "activity_net.v1-3.min.json"
    document = json.loads(path.read_text())
    database = document["database"]
    document["database"] = {f"{prefix}{video:_<11}": entry for video, entry in database.items()}
    path.write_text(json.dumps(document))


def spread_activitynet(root: Path, *, inside: bool) -> None:
    """Write BMN's layout: one file with subsets inside, or one file for each subset."""
    path = root / "activity_net.v1-3.min.json"
    database = json.loads(path.read_text())["database"]
    path.unlink()
    words = {"": ""} if inside else {"train": "training", "val": "validation"}
    for word, subset in words.items():
        entries = {
            f"v_{video}": {key: value for key, value in entry.items() if inside or key != "subset"}
            for video, entry in database.items()
            if inside or entry["subset"] == subset
        }
        (root / f"anet_anno_{word or 'action'}.json").write_text(json.dumps(entries))


def name_by_row(root: Path) -> None:
    """Name the files of AVE by the rows of the list."""
    for row in (root / "Annotations.txt").read_text().split("\n")[:-1]:
        path = root / "AVE" / f"{row.split('&')[1]}.mp4"
        if path.exists():
            path.rename(path.with_stem(row))


def flatten_music(root: Path) -> None:
    path = root / "MUSIC21_solo_videos.json"
    path.write_text(json.dumps(json.loads(path.read_text())["videos"]))


def tabulate_music(root: Path, *header: str) -> None:
    path = root / "MUSIC21_solo_videos.json"
    videos = json.loads(path.read_text())["videos"]
    rows = [header, *((video, label) for label, ids in videos.items() for video in ids)]
    (root / "music.csv").write_text("\n".join(map(",".join, rows)))


ANET = ("anet_anno_action.json", "anet_anno_train.json", "anet_anno_val.json")
VGG = {"tables": ("vgg-train_1.csv", "vgg-test_1.csv")}
US8K, ESC, VGGSOUND = "UrbanSound8K.csv", "esc50.csv", "vggsound.csv"
HEADER = ("Category", "VideoID", "Quality", "StartTime", "EndTime")
# Adapter, parameters, change of its root.
COPIES: list[tuple[str, dict[str, Any], Change]] = [
    ("urbansound8k", {}, edit(US8K, lambda text: text.replace("class_name", "class"))),
    ("urbansound8k", {}, edit(US8K, lambda text: text.replace("fsID", "fsid"))),
    ("urbansound8k", {}, edit(US8K, lambda text: re.sub(r",1,(\d+),", r",1,\1.0,", text))),
    ("urbansound8k", {}, retable(US8K, index)),
    ("urbansound8k", {}, retable(US8K, turn, ";")),
    ("urbansound8k", {}, rename(US8K, "urbansound8k.csv")),
    ("esc50", {}, retable(ESC, index)),
    ("esc50", {}, retable(ESC, turn, "\t")),
    ("esc50", {}, edit(ESC, lambda text: text.replace("False", "FALSE"))),
    ("fsd50k", {}, edit("*.csv", lambda text: re.sub(r"(?m)^(\d+),", r"\1.wav,", text))),
    ("fsd50k", {}, retable("*.csv", index)),
    ("fsd50k", {}, retable("*.csv", turn, ";")),
    ("vggsound", {}, retable(VGGSOUND, head("youtube_id", "start_seconds", "label", "split"))),
    ("vggsound", {}, retable(VGGSOUND, head("# YouTube ID", " start seconds", " label", "split"))),
    (
        "vggsound",
        {},
        retable(VGGSOUND, lambda rows: index(head("vid", "num", "label", "split")(rows)), ";"),
    ),
    (
        "vggsound",
        {},
        retable(VGGSOUND, lambda rows: turn(head("id", "start", "label", "split")(rows))),
    ),
    ("vggsound", {}, retable(VGGSOUND, keep, "\t")),
    ("vggsound", {}, retable(VGGSOUND, keep, ";")),
    ("vggsound", {}, retable(VGGSOUND, lambda rows: [[*row, "x"] for row in rows])),
    ("vggsound", VGG, lambda root: split_vggsound(root, ".mp4", ",")),
    ("vggsound", VGG, lambda root: split_vggsound(root, "", "\t")),
    ("vggsound", VGG, lambda root: split_vggsound(root, "", "\t", "id", "label")),
    ("ave", {}, edit("*.txt", lambda text: "&".join(HEADER) + "\r\n" + text)),
    ("ave", {}, edit("*.txt", lambda text: text.replace("&", "\t"))),
    ("ave", {}, name_by_row),
    ("music21", {}, flatten_music),
    ("music21", {"lists": ("music.csv",)}, lambda root: tabulate_music(root, "vid", "label")),
    (
        "music21",
        {"lists": ("music.csv",)},
        lambda root: tabulate_music(root, "YouTube_ID", "class"),
    ),
    ("ucf101", {}, edit("*list0?.txt", lambda text: re.sub(r"(?m)^(.)", r"UCF-101/\1", text))),
    ("ucf101", {}, edit("*list0?.txt", lambda text: text.replace("/", "\\"))),
    ("ucf101", {}, edit("*list0?.txt", lambda text: re.sub(r"(\.avi).*", r"\1 120 3", text))),
    ("ucf101", {}, edit("*list0?.txt", lambda text: re.sub(r"\.avi.*", "", text))),
    (
        "ucf101",
        {},
        lambda root: [
            rename("trainlist01.txt", "ucf101_train_split_1_videos.txt")(root),
            rename("testlist01.txt", "ucf101_val_split_1_videos.txt")(root),
        ],
    ),
    ("activitynet", {"tables": ANET}, lambda root: spread_activitynet(root, inside=True)),
    ("activitynet", {"tables": ANET}, lambda root: spread_activitynet(root, inside=False)),
]


@pytest.mark.parametrize(("name", "params", "change"), COPIES)
def test_a_copy_gives_the_same_clips(
    name: str, params: dict[str, Any], change: Change, tmp_path: Path
) -> None:
    root = TOYS[name](tmp_path)
    before = [
        (clip.clip_id, clip.label, clip.split, clip.sha256) for clip in dataset(name).clips(root)
    ]
    change(root)
    after = dataset(name, **params).clips(root)
    assert [(clip.clip_id, clip.label, clip.split, clip.sha256) for clip in after] == before


def test_ids_of_activitynet_with_a_prefix_are_those_without(tmp_path: Path) -> None:
    roots = []
    for prefix in ("", "v_"):
        root = TOYS["activitynet"](tmp_path / (prefix or "plain"))
        widen_activitynet(root, prefix)
        (root / "v_tr-C0______.mp4").write_bytes(b"x")
        roots.append(root)
    first, second = ([clip.clip_id for clip in dataset("activitynet").clips(r)] for r in roots)
    assert first == second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            rename(VGGSOUND, "part.csv"),
            r"part.csv has two columns and no split in its name; name it train.csv",
        ),
        (rename(VGGSOUND, "train.csv"), r"train.csv, line 1: found 'train_-00'; expected <id>_<st"),
    ],
)
def test_pairs_that_say_too_little_are_one_sentence(
    change: Change, message: str, tmp_path: Path
) -> None:
    root = TOYS["vggsound"](tmp_path)
    retable(VGGSOUND, lambda rows: [[row[0], row[2]] for row in rows])(root)
    change(root)
    with pytest.raises(SourceError, match=message):
        dataset("vggsound", tables=("part.csv", "train.csv")).clips(root)


def test_a_header_without_a_column_is_named(tmp_path: Path) -> None:
    root = TOYS["vggsound"](tmp_path)
    retable(VGGSOUND, head("youtube_id", "start_seconds", "text", "split"))(root)
    with pytest.raises(SourceError, match=r"line 1: 4 cells, .*expected id,start second,label"):
        dataset("vggsound").clips(root)
