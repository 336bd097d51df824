"""The same clips give the same bytes in any folder, and over a link."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.datasets.adapters.folder import Dataset
from pipeline.datasets.manifest import read_manifest, write_manifest
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.read import read_shards
from pipeline.training.loop import ignore_progress
from tests.toys.decoding import DECODE, digests

FOLDER = Dataset(test_fraction=0.3, val_fraction=0.3, seed=0, licence=None, citation=None)
LABELS = ("犬", 'bé, "bé"', "👩‍🎤 | x" * 6)
NAMES = ("корова", "x" * 240, "-rf a.b", "a\nb")


def ingest_and_decode(place: Path) -> dict[str, str]:
    """Digests of the files of a project: manifest, shards, ledger and what lies beside them."""
    write_manifest(place / "manifest.csv", FOLDER.clips(place / "media"))
    clips, params = read_manifest(place / "manifest.csv"), replace(DECODE, max_reject_fraction=1.0)
    decode_all(clips, place / "shards", params, Local(workers=1), ignore_progress)
    return {name: digest for name, digest in digests(place).items() if "media" not in name}


@pytest.fixture(scope="module")
def project(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, whose names and whose files' names are of any kind; a file is damaged."""
    place = tmp_path_factory.mktemp("here")
    for label in LABELS:
        (place / "media" / label).mkdir(parents=True)
        for name, source in zip(NAMES, sorted(media.rglob("*.mp4")), strict=False):
            shutil.copy(source, place / "media" / label / f"{name}.mp4")
    (place / "media" / LABELS[0] / "damaged.mp4").write_text("no video")
    return place


def test_a_project_has_the_same_bytes_in_any_folder(project: Path, tmp_path: Path) -> None:
    there, link = tmp_path / "th\u00e9 re" / "deep", tmp_path / "link"
    shutil.copytree(project / "media", there / "media")
    expected = ingest_and_decode(project)
    assert ingest_and_decode(there) == expected
    link.symlink_to(there)
    shutil.rmtree(there / "shards")
    assert ingest_and_decode(link) == expected
    ledger = (project / "shards" / "ledger.csv").read_text()
    assert ",decode_error," in ledger and str(project) not in ledger


def test_any_name_comes_back_from_the_shards(project: Path) -> None:
    clips = {c.clip_id: c for c in read_manifest(project / "manifest.csv")}
    samples = [read_shards(project / "shards" / split) for split in ("train", "val", "test")]
    found = {clip for real in samples for clip in real.clips}
    assert found == {name for name, clip in clips.items() if "damaged" not in clip.path}
    assert all(real.classes == tuple(sorted(LABELS)) for real in samples)
