"""Names of files: each clip has an id and a group of its own, in every script and in any place."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.core.records import Clip
from pipeline.datasets.adapters._names import make_id, normalise_name
from pipeline.datasets.adapters._tree import list_clips
from pipeline.datasets.adapters.folder import Dataset
from pipeline.datasets.manifest import read_manifest, write_manifest
from tests.toys.sources import dataset, write

FOLDER = Dataset(test_fraction=0.25, val_fraction=0.25, seed=0, licence=None, citation=None)
# Names in several scripts, and names that shells, tables and file systems trip over.
NAMES = (
    "犬", "猫", "牛", "корова", "кот", "पक्षी", "كلب", "שלום", "👩‍🎤", "🎸", "étude", "etude",
    "a b", "a-b", "a_b", "a,b", "a;b", 'a"b', "a'b", "a\nb", "a\tb", "-rf", "--", "A", "a", "a.",
    "a ", " a", "CON", "nul", "a:b", "a|b", "a\\b", "%20", "$HOME", "*", "x" * 251, "犬" * 83,
)  # fmt: skip


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


def unplaced(clips: list[Clip]) -> list[Clip]:
    return [replace(clip, path="") for clip in clips]


def test_any_name_gets_an_id_and_a_group_of_its_own(tmp_path: Path) -> None:
    clips = list_clips(touch(tmp_path, *(f"{x}/{name}.mp4" for x in "ab" for name in NAMES)))
    assert len({clip.clip_id for clip in clips}) == len({clip.group for clip in clips})
    assert len({clip.clip_id for clip in clips}) == 2 * len(NAMES)
    for clip in clips:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", clip.clip_id)
        assert len(f"{clip.clip_id}_0000.logmel.npy") <= 255


def test_any_name_survives_the_manifest(tmp_path: Path) -> None:
    labels = [name for name in NAMES if name.isprintable() and len(name) < 80]
    clips = FOLDER.clips(
        touch(tmp_path / "media", *(f"{x}/{n}.mp4" for x in labels for n in (*NAMES, *"012")))
    )
    write_manifest(tmp_path / "manifest.csv", clips)
    assert read_manifest(tmp_path / "manifest.csv") == clips


@given(name=st.text(st.sampled_from("abcXYZ019_-/"), min_size=1, max_size=80))
def test_ordinary_names_are_their_own_ids(name: str) -> None:
    assert make_id(name) == re.sub("/+", "-", name)


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_both_unicode_forms_of_a_name_have_one_id(name: str) -> None:
    ids = {make_id(normalise_name(normalize(form, name))) for form in ("NFC", "NFD")}
    assert len(ids) == 1 and re.fullmatch(r"[A-Za-z0-9_-]{1,200}", ids.pop())


def test_one_tree_in_two_unicode_forms_makes_the_same_clips(tmp_path: Path) -> None:
    names = [
        f"{x}/étude {i} é.{s}" for x in ("bébé", "né") for i in range(4) for s in ("mp4", "mkv")
    ]
    composed, split_up = (
        FOLDER.clips(touch(tmp_path / form, *(normalize(form, name) for name in names)))
        for form in ("NFC", "NFD")
    )
    assert [replace(clip, path="", sha256="", bytes=0) for clip in composed] == [
        replace(clip, path="", sha256="", bytes=0) for clip in split_up
    ]
    assert {clip.label for clip in composed} == {"bébé", "né"}


def test_two_files_of_one_name_in_both_forms_are_two_clips_of_one_group(tmp_path: Path) -> None:
    names = [f"{x}/{normalize(form, 'é')}.mp4" for x in "ab" for form in ("NFC", "NFD")]
    here, there = (list_clips(touch(tmp_path / place, *names)) for place in ("here", "there"))
    assert unplaced(here) == unplaced(there)
    assert len({clip.clip_id for clip in here}) == 4 and len({clip.group for clip in here}) == 2


def test_clashes_are_told_apart_by_name_wherever_the_root_lies(tmp_path: Path) -> None:
    names = ["a/x y.mp4", "a/x-y.mp4", "a/x_y.mp4", "a-x/y.mp4", "a/x y.mkv"]
    here, there = (list_clips(touch(tmp_path / place, *names)) for place in ("here", "deep/er"))
    (tmp_path / "link").symlink_to(tmp_path / "here")
    assert unplaced(here) == unplaced(there) == unplaced(list_clips(tmp_path / "link"))
    assert len({clip.clip_id for clip in here}) == 5
    assert len({clip.group for clip in here}) == 4  # a video in two containers is one group


# Tables


def table(place: Path, prefix: str, *more: str) -> list[Clip]:
    """Clips of a table in a folder, which lists eight files `<i>/video.mp4` behind a prefix."""
    rows = [f"{prefix}{i}/video.mp4,{'ab'[i % 2]},train" for i in range(8)]
    place.mkdir(parents=True, exist_ok=True)
    (place / "clips.csv").write_text("\n".join(["path,label,split", *rows, *more]))
    return FOLDER.clips(place / "clips.csv")


def test_absolute_paths_below_the_table_are_as_good_as_relative_ones(tmp_path: Path) -> None:
    place = touch(tmp_path / "here", *(f"media/{i}/video.mp4" for i in range(8)))
    (tmp_path / "link").symlink_to(place)
    expected = table(place, "media/")
    for spelling in (f"{place}/media/", f"{tmp_path}/link/media/", "./media/", "media/../media/"):
        assert unplaced(table(place, spelling)) == unplaced(expected)
    assert unplaced(table(tmp_path / "link", f"{place}/media/")) == unplaced(expected)
    assert len({clip.group for clip in expected}) == 8


def test_absolute_paths_elsewhere_make_the_same_clips_wherever_they_lie(tmp_path: Path) -> None:
    names = [f"{i}/video.mp4" for i in range(8)]
    one, other = touch(tmp_path / "one", *names), touch(tmp_path / "o/t/her", *names)
    here, there = table(tmp_path / "lists", f"{one}/"), table(tmp_path / "li/sts", f"{other}/")
    assert unplaced(here) == unplaced(there)
    assert len({clip.group for clip in here}) == 8


def test_a_row_from_another_disk_moves_no_other(tmp_path: Path) -> None:
    one = touch(tmp_path / "one", *(f"{i}/video.mp4" for i in range(8)))
    touch(tmp_path / "two", "y.mp4")
    before = table(tmp_path / "lists", f"{one}/")
    after = table(tmp_path / "lists", f"{one}/", f"{tmp_path}/two/y.mp4,a,train")
    assert {clip.group for clip in before} < {clip.group for clip in after}
    assert {clip.clip_id for clip in before} < {clip.clip_id for clip in after}


def test_copies_and_missing_files_elsewhere_are_clips_of_their_own(tmp_path: Path) -> None:
    for i in range(4):  # the others are missing
        touch(tmp_path / "one" / str(i)).mkdir(parents=True)
        (tmp_path / "one" / str(i) / "video.mp4").write_bytes(b"x")
    clips = table(tmp_path / "lists", f"{tmp_path}/one/")
    assert len({clip.group for clip in clips}) == len({clip.clip_id for clip in clips}) == 8


def test_a_table_names_a_file_in_either_unicode_form(tmp_path: Path) -> None:
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        place = touch(tmp_path / form, *(normalize(form, f"é{i}.mp4") for i in range(8)))
        rows = [normalize(other, f"é{i}.mp4,{'ab'[i % 2]},train") for i in range(8)]
        (place / "clips.csv").write_text("\n".join(["path,label,split", *rows]))
        assert all(clip.sha256 for clip in FOLDER.clips(place))


def test_a_list_names_a_file_in_either_unicode_form(tmp_path: Path) -> None:
    rows = [
        normalize("NFC", f"é{x}{i},0,{x},{s}")
        for x in "ab"
        for i, s in enumerate(("train",) * 4 + ("test",))
    ]
    media = [normalize("NFD", f"é{x}{i}_000000.mp4") for x in "ab" for i in range(5)]
    clips = dataset("vggsound").clips(write(tmp_path, {"vggsound.csv": rows}, [*media, ""]))
    assert all(clip.sha256 for clip in clips)
    assert len({clip.group for clip in clips}) == 10


def test_a_manifest_over_a_link_holds_relative_paths(tmp_path: Path) -> None:
    place = touch(tmp_path / "here", *(f"media/{x}/{i}.mp4" for x in "ab" for i in range(8)))
    (tmp_path / "link").symlink_to(place)
    texts = []
    for root, out in (("here", "here"), ("link", "here"), ("here", "link"), ("link", "link")):
        write_manifest(tmp_path / out / "m.csv", FOLDER.clips(tmp_path / root / "media"))
        texts.append((place / "m.csv").read_text())
    assert len(set(texts)) == 1 and ",media/a/0.mp4," in texts[0]


# Names that are not text


@pytest.mark.parametrize("name", [b"a/caf\xe9.mp4", b"\xe9tudes/1.mp4"])
def test_a_name_that_is_not_utf8_is_named(name: bytes, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", os.fsdecode(name))
    with pytest.raises(SourceError, match=r"\\xe9.* is not UTF-8 text; rename .*convmv"):
        FOLDER.clips(tmp_path)


def test_a_root_that_is_not_utf8_does(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"\xe9tudes")
    clips = FOLDER.clips(touch(place / "media", *(f"{x}/{i}.mp4" for x in "ab" for i in range(8))))
    write_manifest(place / "manifest.csv", clips)
    assert read_manifest(place / "manifest.csv") == clips
    with pytest.raises(
        SourceError, match=r"\\xe9tudes/media/a/0.mp4, like 15 others, is not UTF-8"
    ):
        write_manifest(tmp_path / "manifest.csv", clips)


def test_a_label_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the label 'a.nb' holds a control character"):
        FOLDER.clips(touch(tmp_path, "a\nb/1.mp4", "c/1.mp4"))
