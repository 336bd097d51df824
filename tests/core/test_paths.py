"""Places: what is read and written through fsspec is what a local folder would hold."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import paths as places
from pipeline.core.errors import MediaError, SourceError
from pipeline.core.files import read_json
from pipeline.core.records import Clip
from pipeline.datasets.adapters.folder import Dataset as Folder
from pipeline.datasets.manifest import read_manifest, write_manifest
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.read import read_shards
from pipeline.training.loop import ignore_progress
from tests.toys.commands import run
from tests.toys.decoding import DECODE, digests
from tests.toys.junk import add_junk
from tests.toys.rights import open_folder, without_rights

FOLDER = Folder(test_fraction=0.2, val_fraction=0.2, seed=0, licence=None, citation=None)


@pytest.fixture
def memory() -> Any:
    """A folder in fsspec's memory, of this test alone."""
    return places.parse_path(f"memory://{uuid.uuid4().hex}")


def copied(source: Path, target: Any) -> Any:
    """The files below a local folder, in another place."""
    for folder, names in places.walk(source):
        for name in names:
            below = target / folder.relative_to(source).as_posix() / name
            below.parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("rb") as ours, below.open("wb") as theirs:
                shutil.copyfileobj(ours, theirs)
    return target


def read(folder: Any) -> dict[str, bytes]:
    return {
        f"{str(place).removeprefix(str(folder)).strip('/')}/{name}": (place / name).read_bytes()
        for place, names in places.walk(folder)
        for name in names
    }


def test_a_path_and_a_file_url_are_paths(tmp_path: Path) -> None:
    assert places.parse_path("a/b") == Path("a/b")
    assert places.parse_path(f"file://{tmp_path}") == tmp_path
    assert places.is_local(places.parse_path(f"file://{tmp_path}")) and not places.is_local(
        places.parse_path("memory://a")
    )


def test_the_home_folder_is_known_by_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert places.parse_path("~/a") == places.join_path(Path("/x"), "~/a") == Path("/home/me/a")
    assert places.parse_path("a/~/b") == Path("a/~/b") and places.parse_path("~a") == Path("~a")


@pytest.mark.parametrize("name", ["..", "link/..", "link/../..", "a/link/.././x", "link/a/..", "."])
def test_an_absolute_path_leads_where_the_system_would_go(name: str, tmp_path: Path) -> None:
    (tmp_path / "there" / "deep" / "a").mkdir(parents=True)
    (tmp_path / "here" / "a").mkdir(parents=True)
    for link in (tmp_path / "here" / "link", tmp_path / "here" / "a" / "link"):
        link.symlink_to(tmp_path / "there" / "deep")
    found = places.make_absolute(tmp_path / "here" / name)
    assert ".." not in Path(found).parts
    assert os.path.realpath(found) == os.path.realpath(f"{tmp_path}/here/{name}")


def test_links_stay_in_an_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert places.make_absolute(tmp_path / "a" / ".." / "link" / "x") == str(tmp_path / "link/x")


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(
        SourceError, match=r"nowhere://a: .*expected a path, or a URL that fsspec knows"
    ):
        places.parse_path("nowhere://a")


def test_a_folder_is_listed_wherever_it_lies(media: Path, memory: Any) -> None:
    here, there = FOLDER.clips(media), FOLDER.clips(copied(media, memory))
    assert [(c.clip_id, c.label, c.split, c.bytes, c.sha256) for c in here] == [
        (c.clip_id, c.label, c.split, c.bytes, c.sha256) for c in there
    ]
    assert all(c.path.startswith(f"{memory}/") for c in there)


def test_a_manifest_comes_back_from_memory(media: Path, clips: list[Clip], memory: Any) -> None:
    write_manifest(memory / "manifest.csv", clips)
    assert read_manifest(memory / "manifest.csv") == clips
    moved = FOLDER.clips(copied(media, memory / "media"))
    write_manifest(memory / "manifest.csv", moved)
    assert read_manifest(memory / "manifest.csv") == moved
    assert f",{memory}" not in (memory / "manifest.csv").read_text()


def test_shards_in_memory_have_the_bytes_of_shards_on_disk(
    clips: list[Clip], shards: Path, memory: Any
) -> None:
    counts = decode_all(clips, memory / "shards", DECODE, Local(workers=2), ignore_progress)
    assert counts == read_json(memory / "shards.json", "decode")
    assert read(memory / "shards") == read(shards)
    assert read_shards(memory / "shards" / "train").digest == read_shards(shards / "train").digest


def test_shards_in_memory_are_kept(clips: list[Clip], memory: Any) -> None:
    decode_all(clips, memory / "shards", DECODE, Local(workers=2), ignore_progress)
    again: list[int] = []
    decode_all(
        clips,
        memory / "shards",
        DECODE,
        Local(workers=2),
        lambda done, total, **figures: again.append(done),
    )
    assert again == []


def test_a_media_file_is_fetched_and_gone_again(media: Path, memory: Any) -> None:
    source = next(media.rglob("*.mp4"))
    copied(media, memory)
    with places.fetch(f"{memory}/{source.relative_to(media).as_posix()}") as local:
        assert Path(local).read_bytes() == source.read_bytes() and local.endswith(".mp4")
    assert not Path(local).exists()
    with places.fetch(str(source)) as local:
        assert local == str(source)


def test_a_media_file_that_is_not_there_is_missing(memory: Any) -> None:
    with pytest.raises(MediaError) as error, places.fetch(f"{memory}/none.mp4"):
        pass
    assert error.value.reason == "missing_file"


def test_file_urls_work_from_the_command_line(media: Path, shards: Path, tmp_path: Path) -> None:
    """Root, manifest and shards as URLs."""
    url = f"file://{tmp_path}"
    assert (
        run(
            "ingest", "mine", "--root", f"file://{media}", "--out", f"{url}/manifest.csv"
        ).returncode
        == 0
    )
    result = run("decode", f"{url}/manifest.csv", f"{url}/shards", "--quiet")
    assert result.returncode == 0, result.stderr
    assert digests(tmp_path / "shards").keys() == digests(shards).keys()


@pytest.mark.parametrize(
    "name",
    [
        *("._x.mp4", ".DS_Store", ".nfs000123", "Thumbs.db", "THUMBS.DB", "desktop.ini", "@eaDir"),
        *(".Spotlight-V100", "lost+found", "$RECYCLE.BIN", "System Volume Information", ""),
        *("~$notes.docx", "__MACOSX", "Icon\r"),
    ],
)
def test_junk_is_known_by_its_name(name: str) -> None:
    assert places.is_junk(name)


@pytest.mark.parametrize("name", ["icon", "thumbs", "x.mp4", "_x", "~x.mp4", "lost", "x.DS_Store"])
def test_other_names_are_no_junk(name: str) -> None:
    assert not places.is_junk(name)


def test_a_folder_is_listed_without_junk(tmp_path: Path, memory: Any) -> None:
    for folder in (tmp_path, memory):
        for name in ("b.json", "a.json", "a.csv"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"1")
        add_junk(folder)
        names = [path.name for path in places.list_folder(folder, "*.json")]
        assert names == ["a.json", "b.json"]
        assert [names for _, names in places.walk(folder)] == [["a.csv", "a.json", "b.json"]]
    assert places.list_folder(tmp_path / "none") == []


def test_a_walk_names_all_that_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "a" / "loop").symlink_to("..")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"")
    left: dict[str, str] = {}
    list(places.walk(tmp_path, lambda path, why: left.update({path.name: why})))
    twice = places.ENTERED_BEFORE
    assert left == {".DS_Store": places.JUNK_NAME, "loop": twice, "b": twice}


def test_a_folder_that_cannot_be_read_is_refused() -> None:
    with open_folder() as root:
        (root / "shut").mkdir(mode=0o000)
        (root / "lost+found").mkdir(mode=0o000)
        message = f"{root}/shut cannot be read \\(Permission denied\\); make it readable"
        with without_rights():
            with pytest.raises(SourceError, match=message):
                list(places.walk(root))
            with pytest.raises(SourceError, match=message):
                places.list_folder(root / "shut")
            with pytest.raises(SourceError, match="shut/deep cannot be read"):
                places.list_folder(root / "shut" / "deep")


def test_a_store_that_cannot_be_read_is_refused(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (memory / "a").mkdir(parents=True)
    (memory / "a" / "x").write_bytes(b"1")
    listed = memory.fs.ls

    def refuse(path: str, **options: Any) -> Any:
        if path.rstrip("/").endswith("/a"):
            raise PermissionError(13, "Forbidden")
        return listed(path, **options)

    monkeypatch.setattr(memory.fs, "ls", refuse)
    with pytest.raises(SourceError, match=r"/a cannot be read \(Forbidden\)"):
        list(places.walk(memory))
