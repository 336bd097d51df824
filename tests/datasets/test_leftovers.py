"""Files and folders that give no clip are counted and named; what cannot be read is refused."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.csv import read_rows
from pipeline.core.errors import SourceError
from pipeline.core.paths import parse_path
from pipeline.core.records import NOT_STATED, Clip
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.datasets.adapters._tree import clip_of, list_clips
from pipeline.datasets.adapters.folder import Dataset as Folder
from pipeline.datasets.leftovers import BESIDE, TWIN, UNLISTED, find_leftovers
from pipeline.datasets.listing import count_suffixes, is_media, list_media
from pipeline.datasets.summary import describe_close_labels
from stages.ingest import ingest
from tests.toys.junk import add_junk
from tests.toys.project import values
from tests.toys.rights import open_folder, without_rights

PAIRS = [f"{label}/{i}.mp4" for label in ("dog", "rain") for i in range(4)]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def passed(root: Path) -> dict[str, list[str]]:
    return find_leftovers(root, list_clips(root)).names


def ingested(root: Path) -> str:
    out = root.parent / "manifest.csv"
    out.unlink(missing_ok=True)
    return ingest("mine", root=root, out=out, params=values())


def test_an_ordinary_folder_has_no_leftovers(tmp_path: Path) -> None:
    message = ingested(touch(tmp_path / "media", *PAIRS))
    assert len(message.splitlines()) == 2 and "passed over" not in message
    assert not (tmp_path / "manifest.skipped.csv").exists()


def test_sounds_beside_videos_are_named(tmp_path: Path) -> None:
    sounds = [f"rain/r{i}.wav" for i in range(5, 9)]
    message = ingested(touch(tmp_path / "media", *PAIRS, *sounds))
    assert (
        "passed over 4 sounds beside videos (rain/r5.wav, rain/r6.wav, rain/r7.wav, ...); "
        "a clips.csv can list them" in message
    )
    rows = [row for _, row in read_rows(tmp_path / "manifest.skipped.csv", "")]
    assert rows == [{"reason": BESIDE, "path": name} for name in sounds]
    shutil.rmtree(tmp_path / "media" / "rain")
    touch(tmp_path / "media", *PAIRS)
    ingested(tmp_path / "media")
    assert not (tmp_path / "manifest.skipped.csv").exists()


def test_files_of_other_kinds_are_counted_by_suffix(tmp_path: Path) -> None:
    others = ("notes.txt", "dog/a.JPG", "dog/b.jpg", "dog/clip.gif", "rain/README")
    message = ingested(touch(tmp_path / "media", *PAIRS, *others))
    assert (
        "passed over 5 files of other kinds, .jpg 2, .gif 1, .txt 1, no suffix 1 "
        "(dog/a.JPG, dog/b.jpg, dog/clip.gif, ...)" in message
    )
    assert count_suffixes(f"x.{letter}" for letter in "abcdefg").endswith("2 other suffixes")


def test_labels_that_lose_all_clips_are_named_first(tmp_path: Path) -> None:
    touch(tmp_path / "media", *PAIRS, "owl/o.gif", "cow/moo.wav")
    (tmp_path / "media" / "cat").mkdir()
    (tmp_path / "media" / "dog" / "takes").mkdir()
    lines = ingested(tmp_path / "media").splitlines()
    assert lines[2] == (
        "passed over 3 labels for want of a clip (cat, cow, owl): "
        "no class of that name is in the manifest"
    )
    assert lines[3] == "passed over 1 folder without a clip (dog/takes)"


def test_an_empty_split_is_no_lost_label(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{split}/{name}" for split in ("train", "test") for name in PAIRS))
    (tmp_path / "val" / "dog").mkdir(parents=True)
    assert passed(tmp_path) == {"folder without a clip": ["val"]}


def test_a_refused_manifest_says_where_the_clips_are(tmp_path: Path) -> None:
    sounds = [f"rain/{i}.wav" for i in range(4)]
    with pytest.raises(SourceError, match=r"one class only, dog.*; passed over 1 label .*rain"):
        ingested(touch(tmp_path / "media", *PAIRS[:4], *sounds))


def test_junk_is_a_number_and_hidden_media_have_names(tmp_path: Path) -> None:
    root = touch(tmp_path / "media", *PAIRS, "dog/.secret.mp4")
    clips = list_clips(root)
    assert list_clips(add_junk(root)) == clips
    message = ingested(root)
    assert "passed over 1 hidden media file (dog/.secret.mp4)" in message
    assert "hidden or system files" in message and "DS_Store" not in message


def test_links_to_nothing_and_to_folders_twice_are_named(tmp_path: Path) -> None:
    root = touch(tmp_path / "media", *PAIRS)
    (root / "owl").symlink_to(tmp_path / "gone")
    (root / "zebra").symlink_to(root / "dog")
    (root / "loop.txt").symlink_to("loop.txt")
    (root / "dog" / "lost.mp4").symlink_to(tmp_path / "gone.mp4")
    message = ingested(root)
    assert "passed over 2 links to nowhere (loop.txt, owl); repair it" in message
    assert "passed over 1 link to a folder that is listed already (zebra)" in message
    assert "1 of 9 files are missing" in message and "lost.mp4" in message


def test_links_that_all_lead_nowhere_are_refused(tmp_path: Path) -> None:
    for name in PAIRS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("/nowhere/x.mp4")
    with pytest.raises(SourceError, match=r"8 media files, all of them links.*-> /nowhere/x.mp4"):
        list_media(tmp_path)


def test_pipes_and_sockets_with_names_of_media_are_not_read(tmp_path: Path) -> None:
    root = touch(tmp_path / "media", *PAIRS)
    os.mkfifo(root / "dog" / "pipe.mp4")
    (root / "rain" / "null.wav").symlink_to("/dev/null")
    message = ingested(root)
    assert "passed over 2 special files (dog/pipe.mp4, rain/null.wav): pipes" in message


def test_files_without_a_byte_are_said(tmp_path: Path) -> None:
    root = touch(tmp_path / "media", *PAIRS)
    (root / "dog" / "0.mp4").write_bytes(b"")
    assert "1 of 8 files are empty" in ingested(root)


def test_what_cannot_be_read_is_refused_by_name() -> None:
    with open_folder() as folder:
        root = touch(folder, *PAIRS, "owl/o.mp4")
        for path, mode in ((root / "owl", 0o000), (root / "dog" / "1.mp4", 0o000)):
            kept = path.stat().st_mode
            path.chmod(mode)
            with without_rights(), pytest.raises(SourceError, match=rf"{path} cannot be read"):
                list_clips(root)
            path.chmod(kept)
        (root / "owl").chmod(0o644)  # its names can be listed, its files not
        with without_rights(), pytest.raises(SourceError, match=r"owl/o.mp4 cannot be read"):
            list_clips(root)
        (root / "owl").chmod(0o000)
        with without_rights():
            with pytest.raises(SourceError, match="owl cannot be read"):
                MediaIndex.scan(root)
            with pytest.raises(SourceError, match="owl/deep cannot be read"):
                list_media(root / "owl" / "deep")


def annotated(root: Path, *stems: str) -> list[Clip]:
    rows = [
        AnnotatedClip(
            stems=(stem,),
            expected_path=f"{stem}.mp4",
            name=stem,
            label="a",
            split="train",
            group=stem,
        )
        for stem in stems
    ]
    return MediaIndex.scan(root).clips(rows, "<id>.mp4")


def test_media_that_no_list_names_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "list.csv", "meta/more.json", "v/x.mp4", "v/x.wav", "v/y.mp4", "v/cover.jpg")
    found = find_leftovers(tmp_path, annotated(tmp_path, "x", "gone"))
    assert found.names[TWIN] == ["v/x.wav"] and found.names[UNLISTED] == ["v/y.mp4"]
    assert found.describe() == [
        "passed over 1 media file that no row names (v/y.mp4)",
        "passed over 1 media file (v/x.wav), for another file of that name is used",
        "passed over 1 file of other kinds, .jpg 1 (v/cover.jpg)",
    ]


def test_a_pipe_is_no_listed_file(tmp_path: Path) -> None:
    touch(tmp_path, "y.mp4")
    os.mkfifo(tmp_path / "x.mp4")
    clips = annotated(tmp_path, "x", "y")
    assert [clip.bytes > 0 for clip in clips] == [False, True]


def test_a_table_counts_what_it_does_not_name(tmp_path: Path) -> None:
    touch(tmp_path / "media", *PAIRS)
    (tmp_path / "link").symlink_to(tmp_path / "media")
    lines = ["path,label,split", "dog/0.mp4,a,train", f"{tmp_path}/link/rain/0.mp4,b,train"]
    (tmp_path / "media" / "clips.csv").write_text("\n".join(lines))
    folder = Folder(test_fraction=0, val_fraction=0, seed=0, licence=NOT_STATED, citation=None)
    clips = folder.clips(tmp_path / "media")
    assert find_leftovers(tmp_path / "media", clips).describe() == [
        "passed over 6 media files that no row names (dog/1.mp4, dog/2.mp4, dog/3.mp4, ...)"
    ]
    assert not find_leftovers(tmp_path / "media" / "clips.csv", clips).names


def test_an_object_store_is_counted_alike(tmp_path: Path) -> None:
    store: Any = parse_path(f"memory://{uuid.uuid4().hex}")
    for root in (tmp_path, store):
        for name in (*PAIRS, "rain/x.wav", "rain/x.txt"):
            (root / "media" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "media" / name).write_bytes(name.encode())
        (root / "media" / "owl").mkdir()
    here, there = ingested(tmp_path / "media"), ingested(store / "media")
    assert here.splitlines()[1:-1] == there.splitlines()[1:-1] and "(owl)" in there
    lists = [(root / "manifest.skipped.csv").read_text() for root in (tmp_path, store)]
    assert lists[0] == lists[1]


def test_white_space_around_a_label_makes_no_class(tmp_path: Path) -> None:
    names = ("dog/1.mp4", "dog /2.mp4", " dog/3.mp4", "dog\u00a0\u200b/4.mp4", "cat/5.mp4")
    clips = list_clips(touch(tmp_path, *names, "dog /x.wav"))
    assert {clip.label for clip in clips} == {"dog", "cat"} and len(clips) == 5
    assert find_leftovers(tmp_path, clips).names == {BESIDE: ["dog /x.wav"]}
    assert clip_of(tmp_path / "dog/1.mp4", "x", " dog\t", "train").label == "dog"
    with pytest.raises(SourceError, match="a label is blank"):
        list_clips(touch(tmp_path, " /6.mp4"))


def test_white_space_around_a_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="train  looks like a split but is not one"):
        list_clips(touch(tmp_path, "train /dog/1.mp4", "test/dog/1.mp4"))


def test_labels_that_are_close_are_named(tmp_path: Path) -> None:
    names = ("dog bark", "Dog-bark", "dog  bark", "rain", "Straße", "STRASSE", "+", "-")
    clips = list_clips(touch(tmp_path, *(f"{name}/1.mp4" for name in names)))
    assert describe_close_labels(clips) == [
        "the labels 'Dog-bark' and 'dog  bark' and 'dog bark' differ by case, spaces or "
        "punctuation alone; give them one name if they are one class",
        "the labels 'STRASSE' and 'Straße' differ by case, spaces or punctuation alone; "
        "give them one name if they are one class",
    ]


def test_a_folder_of_other_files_says_which(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no video and no sound; .*; found \.gif 2"):
        list_media(touch(tmp_path, "dog/a.gif", "dog/b.gif"))


@pytest.mark.parametrize("name", ["a.TS", "a.MTS", "b.3gp", "c.wmv", "d.ogv", "e.aiff", "f.Wma"])
def test_suffixes_of_every_usual_kind_are_media(name: str) -> None:
    assert is_media(name)


@pytest.mark.parametrize("name", ["a.gif", "a.jpg", "a.tsv", "ts", "a.mp4.part", "a.mid", "a.srt"])
def test_other_suffixes_are_not(name: str) -> None:
    assert not is_media(name)
