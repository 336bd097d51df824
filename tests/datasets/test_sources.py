"""Folders, tables and manifests: what is accepted, and what is said of the rest."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.errors import SourceError
from pipeline.datasets.adapters._tree import clip_of, list_clips
from pipeline.datasets.adapters.folder import Dataset
from pipeline.datasets.manifest import read_manifest, write_manifest

FOLDER = Dataset(test_fraction=0.25, val_fraction=0.25, seed=0, licence=None, citation=None)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def test_a_tree_of_labels_is_split_by_clip(tmp_path: Path) -> None:
    clips = FOLDER.clips(touch(tmp_path, *(f"{label}/{i}.mp4" for label in "ab" for i in range(8))))
    assert Counter((clip.label, clip.split) for clip in clips) == {
        (x, s): n
        for x, counts in (("a", (4, 2, 2)), ("b", (5, 2, 1)))
        for s, n in zip(("train", "val", "test"), counts, strict=True)
    }
    assert clips == FOLDER.clips(tmp_path)


def test_a_tree_of_splits_is_kept_and_val_carved(tmp_path: Path) -> None:
    clips = FOLDER.clips(
        touch(
            tmp_path,
            *(f"{s}/{x}/{i}.mp4" for s in ("train", "test") for x in "ab" for i in range(4)),
        )
    )
    assert Counter(clip.split for clip in clips) == {"train": 6, "val": 2, "test": 8}
    assert all("test" in clip.path for clip in clips if clip.split == "test")


def test_a_table_gives_spans_and_groups(tmp_path: Path) -> None:
    touch(tmp_path, "x y.mp4", "z.mp4")
    rows = [
        "path,label,split,start,end,group",
        "x y.mp4,a,train,1,3,g",
        "x y.mp4,b,train,4,,g",
        "z.mp4,a,test,,,h",
    ]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    for root in (tmp_path, tmp_path / "clips.csv"):
        clips = Dataset(
            test_fraction=0, val_fraction=0.0, seed=0, licence=None, citation=None
        ).clips(root)
        assert {(c.label, c.start_s, c.end_s, c.group) for c in clips} == {
            ("a", 1, 3, "g"),
            ("b", 4, None, "g"),
            ("a", 0, None, "h"),
        }
    assert all(set(clip.clip_id) <= set("xyz-0123456789abcdef") for clip in clips)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,split\nx.mp4,train", "line 1: no column label; found path, split"),
        ("path,label,split\n", "has no rows"),
        ("path,label,split\nx.mp4,a,dev", "line 2: the split is 'dev'"),
        ("path,label,split\nx.mp4,,train", "line 2: the label is empty"),
        ("path,label,split,start,end\nx.mp4,a,train,3,1", "line 2: the span is 3.0 to 1.0"),
        ("path,label,split,start\nx.mp4,a,train,soon", "line 2: start and end must be seconds"),
    ],
)
def test_a_bad_table_names_the_line(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(table)
    with pytest.raises(SourceError, match=message):
        FOLDER.clips(tmp_path / "clips.csv")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is empty; expected files like"),
        (("a/notes.txt",), "holds no video"),
        (("loose.mp4",), "lies outside of any label's folder"),
    ],
)
def test_a_folder_that_is_none_says_what_was_expected(
    names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        FOLDER.clips(touch(tmp_path, *names))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere does not exist"):
        FOLDER.clips(tmp_path / "nowhere")


def test_a_split_by_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError,
        match="Train looks like a split but is not one; rename it to one of train, val, test",
    ):
        FOLDER.clips(touch(tmp_path, "Train/a/1.mp4", "Train/b/1.mp4"))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("airplane/1.mp4", "dog/1.mp4", "train/1.mp4"), {"airplane", "dog", "train"}),
        (("cat/1.mp4", "test/1.mp4", "val/1.mp4", "Dev/1.mp4"), {"cat", "test", "val", "Dev"}),
        (("air/jet/1.mp4", "train/1.mp4"), {"air/jet", "train"}),
        (("train/train/1.mp4", "train/test/1.mp4", "test/val/1.mp4"), {"train", "test", "val"}),
    ],
)
def test_a_class_may_have_the_name_of_a_split(
    names: tuple[str, ...], labels: set[str], tmp_path: Path
) -> None:
    assert {clip.label for clip in list_clips(touch(tmp_path, *names))} == labels


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("train/steam/1.mp4", "airplane/steam/1.mp4"),
            "mixes two layouts: train looks like a split, airplane is a label",
        ),
        (
            ("train/a/1.mp4", "test/a/1.mp4", "extra/1.mp4"),
            "mixes two layouts: test looks like a split, extra is a label",
        ),
        (("train/1.mp4", "test/1.mp4"), "holds clips in test and train, which look like splits"),
        (("train/1.mp4", "train/a/1.mp4"), "train/1.mp4 lies outside of any label's folder"),
        (("train/1.mp4",), "train/1.mp4 lies outside of any label's folder"),
        (("a/1.mp4", "2.mp4"), "2.mp4 lies outside of any label's folder"),
    ],
)
def test_a_tree_that_could_be_two_is_refused(
    names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        list_clips(touch(tmp_path, *names))


def test_links_are_followed_and_hidden_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "1.mp4")
    touch(tmp_path / "media", "a/1.mp4", ".trash/1.mp4")
    (tmp_path / "media" / "b").symlink_to(tmp_path / "elsewhere")
    assert {clip.label for clip in FOLDER.clips(tmp_path / "media")} == {"a", "b"}


def test_files_of_one_name_in_a_table_are_groups_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}/video.mp4" for i in range(8)))
    rows = [f"{tmp_path / str(i)}/video.mp4,{'ab'[i % 2]},train" for i in range(8)]
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,split", *rows]))
    assert len({clip.group for clip in FOLDER.clips(tmp_path / "clips.csv")}) == 8


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00p",
        b"path,label,split\nx.mp4",
        b"path,label,split\nx.mp4,a,train\nx.mp4,a,train\n",
    ],
)
def test_a_broken_table_is_one_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(content)
    with pytest.raises(SourceError):
        FOLDER.clips(tmp_path / "clips.csv")


def test_names_that_clash_get_ids_of_their_own(tmp_path: Path) -> None:
    clips = list_clips(touch(tmp_path, "a/x y.mp4", "a/x-y.mp4", "a/x_y.mp4", "b/é.mp4"))
    assert len({clip.clip_id for clip in clips}) == 4


def test_a_manifest_comes_back_and_travels(tmp_path: Path) -> None:
    clips = FOLDER.clips(
        touch(
            tmp_path / "here" / "media", *(f"{label}/{i}.mp4" for label in "ab" for i in range(8))
        )
    )
    write_manifest(tmp_path / "here" / "manifest.csv", clips)
    assert read_manifest(tmp_path / "here" / "manifest.csv") == clips
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert all(
        Path(clip.path).is_file() for clip in read_manifest(tmp_path / "there" / "manifest.csv")
    )


def test_one_class_is_refused_and_nothing_written(tmp_path: Path) -> None:
    clips = FOLDER.clips(touch(tmp_path / "media", *(f"a/{i}.mp4" for i in range(8))))
    with pytest.raises(SourceError, match="found one class only, a"):
        write_manifest(tmp_path / "manifest.csv", clips)
    assert not (tmp_path / "manifest.csv").exists()


def test_a_label_without_test_clips_is_refused(tmp_path: Path) -> None:
    clips = FOLDER.clips(
        touch(
            tmp_path,
            "train/a/1.mp4",
            "train/a/2.mp4",
            "train/b/1.mp4",
            "train/b/2.mp4",
            "test/a/1.mp4",
        )
    )
    with pytest.raises(SourceError, match="the test split has no clip of b"):
        write_manifest(tmp_path / "manifest.csv", clips)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a-1,", "a.1,", "may hold letters, digits"),
        ("a-1,", "a-2,", "lines 2 and 3: both have the clip id a-2"),
        ("train", "dev", "the split is 'dev'"),
        (",0.0,", ",x,", "line"),
    ],
)
def test_a_bad_manifest_names_the_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "a-1.mp4", "a-2.mp4")
    splits = [
        clip_of(tmp_path / f"a-{i}.mp4", f"{x}-{s}-{i}", x, s)
        for s in ("train", "val", "test")
        for x in "ab"
        for i in (1, 2)
    ]
    write_manifest(tmp_path / "m.csv", splits)
    lines = (
        (tmp_path / "m.csv").read_text().replace("a-train-1,", "a-1,").replace("a-train-2,", "a-2,")
    )
    (tmp_path / "m.csv").write_text(
        lines.replace(old, new, 1) if old != "train" else lines.replace(",train,", f",{new},", 1)
    )
    with pytest.raises(SourceError, match=message):
        read_manifest(tmp_path / "m.csv")
