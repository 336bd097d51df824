"""The known datasets: real annotation files, usual layouts of downloads, bad input."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.records import SPLITS, Clip
from pipeline.datasets.adapters import _tree
from pipeline.datasets.adapters._index import AnnotatedClip, MediaIndex
from pipeline.shards.read import read_shards
from tests.toys.commands import refused, run
from tests.toys.project import REAL_DATA, ROOT, values
from tests.toys.sources import LISTS, TOYS, annotated, dataset, listed, sounded


def splits(clips: list[Clip]) -> tuple[int, ...]:
    return tuple(Counter(clip.split for clip in clips)[split] for split in SPLITS)


# Real annotation files: name, preset, changes, folder, one file -> clips, classes, clips of train,
# val, test. Where a list names splits, test is as long as its list, and so is train with val; the
# seed chooses the carved clips.
# Groups that the official lists put into two splits; nothing that is carved parts one.
PARTED = {"ave": 18, "esc50": 2, "urbansound8k": 1}
REAL = [
    ("ave", None, {}, "ave", "AVE/RUhOCu3LNXM.mp4", 4143, 28, (3339, 402, 402)),
    ("vggsound", None, {}, "vggsound", "---g-f_I2yQ_000001.mp4", 40848, 309, (22860, 2542, 15446)),
    ("vggs10k", "vggs10k", {}, "avdd", "--IOqc-XgYo_000000.mp4", 9252, 10, (7965, 843, 444)),
    ("music21", None, {}, "music", "bagpipe/kw-OQpF9N4E.mp4", 1164, 21, (866, 80, 218)),
    (
        "music21",
        None,
        {"lists": ("MUSIC_solo_videos.json",)},
        "music",
        "jW_AuF6dQYY.mp4",
        536,
        11,
        (397, 38, 101),
    ),
    (
        "music21",
        None,
        {"lists": ("MUSIC_duet_videos.json",)},
        "music",
        "8DHG_hVSw1o.mp4",
        149,
        9,
        (104, 16, 29),
    ),
    ("music21", "music21", {}, "avdd", "Lp9rAMPaqLQ.mp4", 1091, 21, (754, 99, 238)),
    ("ucf101", None, {}, "ucf101", "v_Archery_g01_c01.avi", 6845, 51, (4384, 517, 1944)),
    (
        "ucf101",
        None,
        {"fold": 2, "classes": None},
        "ucf101",
        "v_Archery_g01_c01.avi",
        13320,
        101,
        (8558, 1028, 3734),
    ),
    (
        "ucf101",
        None,
        {"fold": 3, "classes": None},
        "ucf101",
        "v_Archery_g01_c01.avi",
        13320,
        101,
        (8541, 1083, 3696),
    ),
    ("activitynet", None, {}, "activitynet", "v_QOlSCBRmfWY.mp4", 22152, 200, (13409, 1450, 7293)),
    (
        "activitynet",
        None,
        {"validation": "val"},
        "activitynet",
        "QOlSCBRmfWY.webm",
        22152,
        200,
        (11879, 7293, 2980),
    ),
    ("esc50", None, {}, "esc50", "audio/1-100032-A-0.wav", 2000, 50, (1200, 400, 400)),
    (
        "esc50",
        None,
        {"tables": ("esc10.csv",)},
        "esc50",
        "1-100032-A-0.ogg",
        400,
        10,
        (240, 80, 80),
    ),
    (
        "urbansound8k",
        None,
        {},
        "urbansound8k",
        "fold5/100032-3-0-0.wav",
        8732,
        10,
        (7079, 816, 837),
    ),
]


@annotated
@pytest.mark.parametrize(
    ("name", "preset", "changes", "folder", "media", "count", "classes", "expected"), REAL
)
def test_real_annotations_become_clips(
    name: str,
    preset: str | None,
    changes: dict[str, Any],
    folder: str,
    media: str,
    count: int,
    classes: int,
    expected: tuple[int, ...],
    tmp_path: Path,
) -> None:
    clips = dataset(name, preset, **changes).clips(listed(tmp_path, folder, media))
    assert (len(clips), len({clip.label for clip in clips}), splits(clips)) == (
        count,
        classes,
        expected,
    )
    assert len({clip.clip_id for clip in clips}) == count
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", clip.clip_id) for clip in clips)
    parted = len({(clip.group, clip.split) for clip in clips}) - len({clip.group for clip in clips})
    assert parted == PARTED.get(name, 0) * (count > 400)
    assert {Path(clip.path).name for clip in clips if clip.sha256} == {Path(media).name}


@annotated
def test_each_labelled_second_of_ave_is_a_window(tmp_path: Path) -> None:
    """As many seconds as the four files label; one row labels none and stays for the ledger."""
    clips = dataset("ave").clips(listed(tmp_path, "ave", "RUhOCu3LNXM.mp4"))
    assert sum((clip.end_s or 0) - clip.start_s for clip in clips) == 27759 + 3288 + 3305
    assert [clip.clip_id for clip in clips if clip.start_s == clip.end_s] == [
        "VWi2ENBuTbw_Church-bell_0-0"
    ]


@annotated
def test_official_test_clips_stay_in_test(tmp_path: Path) -> None:
    rows = [line.split("&") for line in (LISTS / "ave" / "testSet.txt").read_text().splitlines()]
    clips = dataset("ave").clips(listed(tmp_path, "ave", "RUhOCu3LNXM.mp4"))
    assert {(row[1], row[0]) for row in rows} <= {
        (clip.group, clip.label) for clip in clips if clip.split == "test"
    }


@annotated
def test_the_ten_classes_come_out_of_the_whole_list_too(tmp_path: Path) -> None:
    ten = (LISTS / "avdd" / "vggs10k_classes.txt").read_text().splitlines()
    root = listed(tmp_path, "vggsound", "--IOqc-XgYo_000000.mp4")
    (root / "ten.txt").write_text("\n".join(ten))
    by_name = dataset("vggs10k", "vggs10k", tables=("vggsound_partial.csv",)).clips(root)
    by_file = dataset("vggsound", classes="ten.txt", window=(4.0, 5.0)).clips(root)
    assert by_name == by_file
    assert {clip.label for clip in by_name} == set(ten)
    assert {(clip.start_s, clip.end_s) for clip in by_name} == {(4.0, 5.0)}


@annotated
def test_the_classes_with_sound_are_those_of_params() -> None:
    names = {
        line.split("/")[0]
        for line in (LISTS / "ucf51_avgzsl" / "ucf51_videos.txt").read_text().splitlines()
    }
    assert set(values().get_section("ingest.ucf101")["classes"]) == names


@annotated
def test_segments_of_activitynet_without_length_stay_for_the_ledger(tmp_path: Path) -> None:
    clips = dataset("activitynet").clips(listed(tmp_path, "activitynet", "v_QOlSCBRmfWY.mp4"))
    assert sum(clip.start_s == clip.end_s for clip in clips) == 12
    assert len({clip.group for clip in clips}) == 9649 + 4728


# Layouts of downloads: adapter, what the toy calls a file, what else it may be called


@pytest.mark.parametrize(
    ("name", "of_toy", "also"),
    [
        ("ave", "AVE/train-C0.mp4", "train-C0.mp4"),
        ("ave", "AVE/train-C0.mp4", "AVE_Dataset/AVE/train-C0.MKV"),
        ("vggsound", "video/train_-01_000010.mp4", "train_-01_000010.webm"),
        ("vggsound", "video/train_-01_000010.mp4", "train/Church bell/train_-01_10.mp4"),
        ("vggsound", "video/train_-01_000010.mp4", "train_-01_10000_20000.mp4"),
        ("vggsound", "video/train_-01_000010.mp4", "train_-01.mp4"),
        ("music21", "solo/cello/-c_0.mp4", "cello/-c_0.mkv"),
        ("music21", "solo/cello/-c_0.mp4", "-c_0.mp4"),
        ("ucf101", "UCF-101/Archery/v_Archery_g08_c01.avi", "v_Archery_g08_c01.mp4"),
        ("activitynet", "tr/v_tr-C0.mkv", "train_val/tr-C0.mp4"),
        ("esc50", "audio/1-100-A-0.wav", "1-100-A-0.ogg"),
        ("urbansound8k", "audio/fold1/100-0-0-0.wav", "100-0-0-0.flac"),
        ("fsd50k", "FSD50K.dev_audio/100.wav", "dev/100.wav"),
    ],
)
def test_a_file_is_found_where_downloads_put_it(
    name: str, of_toy: str, also: str, tmp_path: Path
) -> None:
    root = TOYS[name](tmp_path)
    before = dataset(name).clips(root)
    (root / also).parent.mkdir(parents=True, exist_ok=True)
    (root / of_toy).rename(root / also)
    after = dataset(name).clips(root)
    assert str(root / also) in {clip.path for clip in after if clip.sha256}
    assert [dataclasses.replace(clip, path="") for clip in after] == [
        dataclasses.replace(clip, path="") for clip in before
    ]


@pytest.mark.parametrize("folder", ["annotations", "data", "meta", "a/b/c"])
@pytest.mark.parametrize("name", sorted(TOYS))
def test_lists_are_found_in_any_folder(name: str, folder: str, tmp_path: Path) -> None:
    root = TOYS[name](tmp_path)
    before = dataset(name).clips(root)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for path in [path for path in root.rglob("*") if path.suffix in (".csv", ".json", ".txt")]:
        path.rename(root / folder / path.name)
    assert dataset(name).clips(root) == before


@pytest.mark.parametrize(
    ("end", "encoding"), [("\r\n", "utf-8-sig"), ("\r", "utf-8"), ("\n", "utf-16")]
)
@pytest.mark.parametrize("name", sorted(TOYS))
def test_a_list_is_read_however_it_was_saved(
    name: str, end: str, encoding: str, tmp_path: Path
) -> None:
    """With a mark, other line ends, and empty lines at the end."""
    root = TOYS[name](tmp_path)
    before = dataset(name).clips(root)
    for path in [path for path in root.rglob("*") if path.suffix in (".csv", ".json", ".txt")]:
        text = path.read_text().replace("\n", end) + f"{end} {end}"
        path.write_bytes(text.encode(encoding))
    assert dataset(name).clips(root) == before


@pytest.mark.parametrize("name", sorted(TOYS))
def test_ids_do_not_depend_on_where_the_root_is(name: str, tmp_path: Path) -> None:
    here, there = (dataset(name).clips(TOYS[name](tmp_path / place)) for place in ("here", "there"))
    unplaced = [[dataclasses.replace(clip, path="") for clip in clips] for clips in (here, there)]
    assert unplaced[0] == unplaced[1]


def test_a_video_with_two_clips_is_not_its_only_file(tmp_path: Path) -> None:
    """A file named after the video alone could be either of two clips, so it is neither."""
    root = TOYS["vggsound"](tmp_path)
    with (root / "vggsound.csv").open("a") as stream:
        stream.write('train_-01,70,"Church bell",train\n')
    (root / "video" / "train_-01_000010.mp4").rename(root / "video" / "train_-01.mp4")
    clips = {clip.clip_id: clip for clip in dataset("vggsound").clips(root)}
    assert clips["train_-01_000010"].sha256 == clips["train_-01_000070"].sha256 == ""
    assert clips["train_-01_000010"].group == clips["train_-01_000070"].group


def test_bmn_and_official_layouts_of_activitynet_agree(tmp_path: Path) -> None:
    root = TOYS["activitynet"](tmp_path)
    before = dataset("activitynet").clips(root)
    database = json.loads((root / "activity_net.v1-3.min.json").read_text())["database"]
    (root / "activity_net.v1-3.min.json").unlink()
    (root / "anet_anno_action.json").write_text(
        json.dumps({f"v_{video}": entry for video, entry in database.items()})
    )
    lines = [
        "video,numFrame,subset",
        *(f"v_{video},9,{entry['subset']}" for video, entry in database.items()),
    ]
    (root / "video_info_new.csv").write_text("\n".join(lines))
    assert dataset("activitynet").clips(root) == before


def test_the_middle_of_a_video_is_whole_seconds(media: Path, tmp_path: Path) -> None:
    root = TOYS["music21"](tmp_path)
    (root / "solo" / "cello" / "-c_0.mp4").unlink()
    (root / "-c_0.mp4").symlink_to(sorted(media.rglob("*.mp4"))[0])  # one second long
    for seconds, expected in ((1, (0.0, 1.0)), (5, (0.0, None)), (None, (0.0, None))):
        clips = {clip.group: clip for clip in dataset("music21", seconds=seconds).clips(root)}
        assert (clips["-c_0"].start_s, clips["-c_0"].end_s) == expected


@annotated
def test_a_real_video_gives_its_middle(tmp_path: Path) -> None:
    root = TOYS["music21"](tmp_path)
    (root / "-c_0.mp4").symlink_to(
        sorted((REAL_DATA / "esc_photo").rglob("*.mp4"))[0]
    )  # five seconds long
    (root / "solo" / "cello" / "-c_0.mp4").unlink()
    clips = {clip.group: clip for clip in dataset("music21", seconds=2).clips(root)}
    assert (clips["-c_0"].start_s, clips["-c_0"].end_s) == (1.0, 3.0)


def test_the_first_label_of_fsd50k_is_the_label(tmp_path: Path) -> None:
    clips = dataset("fsd50k").clips(TOYS["fsd50k"](tmp_path))
    assert {clip.label for clip in clips} == {"Electric_guitar", "Purr"}
    assert splits(clips) == (4, 2, 4)
    assert {clip.label for clip in dataset("fsd50k", classes=("purr",)).clips(tmp_path)} == {"Purr"}


def test_folds_are_splits(tmp_path: Path) -> None:
    clips = dataset("esc50", test_fold=2, val_fold=1).clips(TOYS["esc50"](tmp_path))
    assert {
        clip.split: {c.clip_id[0] for c in clips if c.split == clip.split} for clip in clips
    } == {
        "train": {"3", "4", "5"},
        "val": {"1"},
        "test": {"2"},
    }


# Bad input: adapter, file, old text, new text, message


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("ave", "trainSet.txt", "&good&0&3", "&good&0", "trainSet.txt, line 1: 4 cells"),
        ("ave", "*.txt", "C1&good&1&4", "C1&good&4&1", "line 2: the span is 4 to 1 s"),
        ("ave", "*.txt", "C1&good&1&4", "C1&good&-1&4", "line 2: the span is -1 to 4 s"),
        ("ave", "*.txt", "C1&good&1&4", "C1&good&one&4", "line 2: the span is 'one' to '4'"),
        ("ave", "*.txt", "C1&good&1&4", "C1&good&1&nan", "line 2: the span is 1 to nan s"),
        (
            "ave",
            "testSet.txt",
            "test-C0",
            "test-C9",
            "testSet.txt, line 1: Church bell&test-C9&good&0&3 is not in",
        ),
        ("ave", "testSet.txt", "test-C0", "train-C0", "is not in .*or in two lists"),
        (
            "ave",
            "testSet.txt",
            "Church bell&test-C0&good&0&3\n",
            "",
            "Annotations.txt, line 13: .* in none of the lists",
        ),
        ("ave", "*.txt", "Church bell&train-C0", "&train-C0", "line 1: the label is ''"),
        ("ave", "*.txt", "train-C0", "../train-C0", "line 1: the id is '../train-C0'"),
        ("vggsound", "vggsound.csv", ",train\n", "\n", "vggsound.csv, line 1: 3 cells"),
        (
            "vggsound",
            "vggsound.csv",
            '"Male speech, man speaking"',
            "Male speech, man speaking",
            "line 7: the split is 'man speaking'",
        ),
        (
            "vggsound",
            "vggsound.csv",
            ",train\n",
            ",dev\n",
            "line 1: the split is 'dev'; expected one of train, val, test",
        ),
        ("vggsound", "vggsound.csv", ",10,", ",-10,", "line 2: the start second is '-10'"),
        ("vggsound", "vggsound.csv", ",10,", ",ten,", "line 2: the start second is 'ten'"),
        (
            "vggsound",
            "vggsound.csv",
            '"Church bell",train',
            '"Church bell,train',
            "vggsound.csv, line ",
        ),
        (
            "music21",
            "MUSIC21_solo_videos.json",
            '"videos"',
            '"video"',
            "'videos': found None; expected an object",
        ),
        ("music21", "MUSIC21_solo_videos.json", "}", "", "is not valid JSON"),
        ("music21", "MUSIC21_solo_videos.json", '"-c_0"', "7", "class 'cello': the id is 7"),
        (
            "ucf101",
            "trainlist01.txt",
            "_c01.avi\n",
            "\n",
            "trainlist01.txt, line 1: .* expected Class/v_Class_g01_c01.avi",
        ),
        (
            "activitynet",
            "*.json",
            "4.5",
            "0.25",
            "video tr-C0, segment 0: the span is 0.5 to 0.25 s",
        ),
        (
            "activitynet",
            "*.json",
            "[0.5, 4.5]",
            "[4.5]",
            "segment 0: found .4.5.; expected a start and an end",
        ),
        (
            "activitynet",
            "*.json",
            '"training"',
            '"train"',
            "video tr-C0: the split is 'train'; expected one of training, validation",
        ),
        (
            "activitynet",
            "*.json",
            '"label"',
            '"name"',
            "segment 0, 'label': found None; expected a text",
        ),
        ("esc50", "esc50.csv", "category", "class", "esc50.csv, line 1: no column category"),
        (
            "esc50",
            "esc50.csv",
            "wav,1,",
            "wav,6,",
            "line 2: the fold is '6'; expected a whole number from 1 to 5",
        ),
        ("esc50", "esc50.csv", ",False,100,A", "", "line 2: 4 cells, expected 7"),
        ("urbansound8k", "UrbanSound8K.csv", ",1,1,0,", ",1,one,0,", "line 2: the fold is 'one'"),
        (
            "fsd50k",
            "dev.csv",
            ",train\n",
            ",test\n",
            "dev.csv, line 2: the split is 'test'; expected one of train, val",
        ),
        ("fsd50k", "dev.csv", ",split", "", "dev.csv, line 1: no column split"),
    ],
)
def test_bad_annotations_are_one_line(
    name: str, file: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    root = TOYS[name](tmp_path)
    paths = list(root.rglob(file))
    for path in paths:
        path.write_text(path.read_text().replace(old, new))
    assert any(new in path.read_text() for path in paths)
    with pytest.raises(SourceError, match=message):
        dataset(name).clips(root)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_text_that_is_none_names_its_file(name: str, tmp_path: Path) -> None:
    root = TOYS[name](tmp_path)
    path = sorted(path for path in root.rglob("*") if path.suffix in (".csv", ".json", ".txt"))[0]
    path.write_bytes(b"\xff\xfe\x00" + path.read_bytes())
    with pytest.raises(SourceError, match=f"{path.name} is not UTF-8 text"):
        dataset(name).clips(root)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_a_list_that_is_not_there_is_named_with_where_it_was_sought(
    name: str, tmp_path: Path
) -> None:
    root = TOYS[name](tmp_path)
    path = sorted(path for path in root.rglob("*") if path.suffix in (".csv", ".json", ".txt"))[0]
    path.unlink()
    with pytest.raises(
        SourceError, match=f"no .*{re.escape(path.name)}.* in {root} or any folder below it"
    ):
        dataset(name).clips(root)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_no_file_at_all_names_the_layouts(name: str, tmp_path: Path) -> None:
    root = TOYS[name](tmp_path)
    for path in [
        path
        for path in root.rglob("*.*")
        if path.is_file() and path.suffix not in (".csv", ".json", ".txt")
    ]:
        path.unlink()
    with pytest.raises(
        SourceError,
        match=r"holds no media file of the \d+ clips that are listed; tried .*<.*in any folder",
    ):
        dataset(name).clips(root)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_a_root_that_is_none_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError,
        match="nowhere does not exist; expected a folder with the dataset's annotation files",
    ):
        dataset(name).clips(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("esc50", {"test_fold": 4}, "two different folds from 1 to 5"),
        ("urbansound8k", {"val_fold": 11}, "two different folds from 1 to 10"),
        ("vggsound", {"window": (5.0, 4.0)}, "expected .from, to."),
        ("vggsound", {"window": (4.0, 11.0)}, "two seconds from 0 to 10"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    name: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        dataset(name, **changes)


@pytest.mark.parametrize("name", ["ave", "vggsound", "music21", "esc50", "urbansound8k", "fsd50k"])
def test_lists_without_rows_are_one_line(name: str, tmp_path: Path) -> None:
    root = TOYS[name](tmp_path)
    for path in [path for path in root.rglob("*") if path.suffix in (".csv", ".json", ".txt")]:
        lines = path.read_text().splitlines(keepends=True)
        header = (
            lines[:1]
            if lines[0].startswith(("filename", "slice", "fname"))
            else ['{"videos": {}}'] * (path.suffix == ".json")
        )
        path.write_text("".join(header))
    with pytest.raises(SourceError, match=f"the annotation files in {root} list no clip"):
        dataset(name).clips(root)


def test_a_class_that_is_not_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no clip of the class 'Church bel' is listed"):
        dataset("vggsound", classes=("Church bel",)).clips(TOYS["vggsound"](tmp_path))


# The index, and what ingest says


def test_a_file_of_several_clips_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    digest = _tree.file_digest
    monkeypatch.setattr(_tree, "file_digest", lambda path: read.append(path) or digest(path))
    clips = dataset("activitynet").clips(TOYS["activitynet"](tmp_path))
    assert len(clips) == 2 * len({clip.path for clip in clips})
    assert sorted(map(str, read)) == sorted({clip.path for clip in clips if clip.sha256})


def test_a_video_goes_before_its_own_sound_and_links_in_a_ring_end(tmp_path: Path) -> None:
    for name in ("sound/a.wav", "video/a.mp4", "deep/er/a.mp4", ".hidden/b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep" / "ring").symlink_to(tmp_path)
    index = MediaIndex.scan(tmp_path)
    assert index.find("b", "a") == tmp_path / "video" / "a.mp4"
    assert index.media.keys() == {"a"}


names = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"),
    min_size=1,
    max_size=12,
)


@given(
    drawn=st.lists(
        st.tuples(names, st.sampled_from("abc"), st.sampled_from(SPLITS)),
        min_size=1,
        max_size=20,
        unique=True,
    )
)
def test_rows_become_clips_whose_ids_are_unique(drawn: list[tuple[str, str, str]]) -> None:
    media = {normalize("NFC", drawn[0][0]): ROOT / "README.md"}
    index = MediaIndex(root=Path("root"), media=media, lists={})
    rows = [
        AnnotatedClip(
            stems=(stem,),
            expected_path=f"{stem}.mp4",
            name=stem,
            label=label,
            split=split,
            group=stem,
        )
        for stem, label, split in drawn
    ]
    clips = index.clips(rows, "<id>.mp4")
    assert len({clip.clip_id for clip in clips}) == len(drawn)
    assert sorted((clip.group, clip.label, clip.split) for clip in clips) == sorted(
        (normalize("NFC", stem), label, split) for stem, label, split in drawn
    )


def test_ingest_says_what_is_missing_and_how_to_list_it(tmp_path: Path) -> None:
    root, out = TOYS["ave"](tmp_path / "media"), tmp_path / "manifest.csv"
    (root / "AVE" / "train-C1.mp4").unlink()
    message = run("ingest", "ave", "--root", root, "--out", out).stdout
    assert "18 clips of 2 classes" in message
    assert (
        "2 of 18 files are missing (media/AVE/test-M2.mp4, media/AVE/train-C1.mp4)"
        in message.replace(f"{tmp_path}/", "")
    )
    gone = [
        line for line in out.read_text().splitlines() if line.endswith(",0,")
    ]  # the output of the grep in the docs
    assert len(gone) == 2 and f"`grep ',0,$' {out}`" in message and "missing_file" in message


def test_sounds_become_shards(tmp_path: Path) -> None:
    """An audio-only set from its annotation file to its samples, of a noise and a tone."""
    root = sounded(TOYS["esc50"](tmp_path / "media"))
    assert (
        run("ingest", "esc50", "--root", root, "--out", tmp_path / "manifest.csv").returncode == 0
    )
    sound_only = ("--set", "decode.modalities=[logmel]", "--set", "decode.max_reject_fraction=0.1")
    result = run(*sound_only, "decode", tmp_path / "manifest.csv", tmp_path / "shards", "--quiet")
    assert "clips: 20 rows = 19 ok + 1 failed" in result.stdout, result.stderr
    samples = read_shards(tmp_path / "shards" / "train")
    assert samples.rows.keys() == {"logmel"} and len(samples) == 12
    assert ",missing_file," in (tmp_path / "shards" / "ledger.csv").read_text()


def test_ingest_of_a_root_without_lists_is_one_line(tmp_path: Path) -> None:
    message = refused("ingest", "ave", "--root", tmp_path, "--out", tmp_path / "manifest.csv")
    assert message.startswith("error: no Annotations.txt in ")


def test_sounds_alone_make_a_folder(tmp_path: Path) -> None:
    for name in ("a/1.wav", "a/2.wav", "b/1.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert [clip.clip_id for clip in _tree.list_clips(tmp_path)] == ["a-1", "a-2", "b-1"]
    (tmp_path / "a" / "1.mp4").write_bytes(b"x")
    assert [Path(clip.path).name for clip in _tree.list_clips(tmp_path)] == ["1.mp4"]
