"""A listing of media: it changes where a file does, and an ingest is up to date with its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.core.errors import SourceError
from pipeline.datasets.fingerprint import (
    ABSENT,
    digest_listing,
    find_change,
    find_changes,
    write_listing,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset's folder with three files, after an ingest."""
    folder = tmp_path / "mine"
    for name in ("dog/1.mp4", "dog/2.mp4", "cat/1.mp4"):
        (folder / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "media" / name).write_bytes(b"x")
    digest = digest_listing(folder / "media")
    write_listing(folder / "manifest.csv", digest, digest)
    return folder


def rename(media: Path) -> None:
    (media / "dog/1.mp4").rename(media / "dog/3.mp4")


def rewrite(media: Path) -> None:
    about = (media / "dog/1.mp4").stat()
    (media / "dog/1.mp4").write_bytes(b"y")
    os.utime(media / "dog/1.mp4", ns=(about.st_atime_ns, about.st_mtime_ns + 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "removed": lambda media: (media / "dog/1.mp4").unlink(),
    "added": lambda media: (media / "dog/3.mp4").touch(),
    "renamed": rename,
    "moved": lambda media: (media / "dog/2.mp4").rename(media / "cat/2.mp4"),
    "longer": lambda media: (media / "dog/1.mp4").write_bytes(b"xx"),
    "of the same size": rewrite,
    "a list": lambda media: (media / "clips.csv").touch(),
    "a link to nothing": lambda media: (media / "link.mp4").symlink_to("nothing"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_media_is_noticed(change: Callable[[Path], object], dataset: Path) -> None:
    before = find_change(dataset)
    change(dataset / "media")
    assert find_change(dataset) not in (before, ABSENT)


def test_nothing_changed_without_a_change(dataset: Path) -> None:
    before = find_change(dataset)
    (dataset / "media/dog/.DS_Store").touch()
    assert find_change(dataset) == before == digest_listing(dataset / "media")


def test_a_changed_file_behind_a_link_is_noticed(dataset: Path) -> None:
    (dataset / "media").rename(dataset.parent / "disk")
    (dataset / "media").symlink_to(dataset.parent / "disk")
    before = find_change(dataset)
    (dataset.parent / "disk/dog/1.mp4").write_bytes(b"xx")
    assert find_change(dataset) != before


def test_media_that_are_absent_are_no_change(dataset: Path) -> None:
    """In a clone, or in a temporary folder of an experiment."""
    before = find_change(dataset)
    (dataset / "media").rename(dataset.parent / "unmounted")
    assert find_change(dataset) == before


def test_media_that_ingest_wrote_are_no_change(dataset: Path) -> None:
    write_listing(dataset / "manifest.csv", ABSENT, digest_listing(dataset / "media"))
    assert find_change(dataset) == ABSENT
    (dataset / "media/dog/1.mp4").unlink()
    assert find_change(dataset) != ABSENT


def test_without_an_ingest_it_is_the_media_s_own(dataset: Path) -> None:
    (dataset / "manifest.media.json").unlink()
    assert find_change(dataset) == digest_listing(dataset / "media")
    assert find_change(dataset.parent / "nowhere") == ABSENT


@pytest.mark.parametrize("link", ["data", "data/mine"])
def test_results_behind_a_link_are_refused(
    link: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC refuses them after the work is done."""
    place = tmp_path / "project" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(dataset if link == "data/mine" else dataset.parent)
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(SourceError, match=r"data/mine lies behind a link, .* link data/mine/media"):
        find_changes(Path("data"), ["mine"])


def test_a_name_that_is_no_text_is_listed(dataset: Path) -> None:
    before = find_change(dataset)
    with open(os.fsencode(dataset / "media") + b"/caf\xe9.mp4", "wb"):  # noqa: PTH123 - bytes
        pass
    assert find_change(dataset) != before
