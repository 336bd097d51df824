"""The artifact: same set, same bytes; h5py alone reads what was written; damage is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.artifact import (
    ExportSettings,
    PublishSettings,
    list_artifacts,
    publish_artifact,
    read_artifact,
    write_artifact,
)
from pipeline.artifact.inspection import render_page
from pipeline.core.errors import ArtifactError
from pipeline.core.tensors import load_synthetic, save_synthetic
from tests.toys.artifacts import FULL, SCORES, toy_synthetic


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "seed0.h5"
    write_artifact(path, toy_synthetic(), FULL)
    return path


def test_comes_back_as_it_was_written(artifact: Path) -> None:
    written, read = toy_synthetic(), read_artifact(artifact).synthetic
    assert all(torch.equal(written.rows[m], read.rows[m]) for m in written.rows)
    for name in ("classes", "ipc", "formation", "normalisation", "source_key"):
        assert getattr(written, name) == getattr(read, name)
    assert written.provenance.items() <= read.provenance.items()


def test_the_same_set_gives_the_same_bytes(artifact: Path, tmp_path: Path) -> None:
    write_artifact(tmp_path / "again.h5", toy_synthetic(), FULL)
    assert (tmp_path / "again.h5").read_bytes() == artifact.read_bytes()


def test_float16_is_smaller_and_near(artifact: Path, tmp_path: Path) -> None:
    write_artifact(tmp_path / "half.h5", toy_synthetic(), ExportSettings(storage="float16"))
    assert (tmp_path / "half.h5").stat().st_size < artifact.stat().st_size
    assert torch.allclose(
        read_artifact(tmp_path / "half.h5").synthetic.rows["frame"],
        read_artifact(artifact).synthetic.rows["frame"],
        atol=1e-2,
    )


def test_publishing_keeps_the_digest(artifact: Path, tmp_path: Path) -> None:
    digest = read_artifact(artifact).about["content_digest"]
    known = {"artifacts": {"seed0.h5": digest}, "scores": SCORES}
    out = tmp_path / "published" / "seed0.h5"
    assert publish_artifact(artifact, known, PublishSettings(runs=False), out) == digest
    assert read_artifact(out).about["content_digest"] == digest
    assert (
        "  budget convnet ensemble recognition accuracy av 50.0 ± 10.0 [40.0, 60.0] (n = 3)"
        in render_page(out)
    )
    assert "none              `avdistill evaluate`" in render_page(artifact)


def test_scores_of_another_set_are_refused(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the scores are not of"):
        publish_artifact(
            artifact,
            {"artifacts": {"seed0.h5": "0" * 64}, "scores": SCORES},
            PublishSettings(runs=False),
            tmp_path / "x.h5",
        )
    assert not (tmp_path / "x.h5").exists()


def test_rows_only_as_datasets_and_the_rest_as_root_attributes(artifact: Path) -> None:
    with h5py.File(artifact) as file:
        assert {len(dataset) for dataset in file.values()} == {4}
        assert all(
            isinstance(dataset, h5py.Dataset) and not dataset.attrs for dataset in file.values()
        )
        assert all(isinstance(value, str | np.generic) for value in file.attrs.values())
        assert file.attrs["format"] == "avdistill" and file.attrs["format_version"] == "1.1"


def test_a_changed_number_is_noticed(artifact: Path) -> None:
    with h5py.File(artifact, "r+") as file:
        file["label"][0] = 1
    with pytest.raises(ArtifactError, match="was changed since it was written"):
        read_artifact(artifact)


@pytest.mark.parametrize("keep", [0, 100, 3000])
def test_a_file_cut_short_is_one_error(artifact: Path, keep: int) -> None:
    artifact.write_bytes(artifact.read_bytes()[:keep])
    with pytest.raises(
        ArtifactError, match=r"seed0\.h5 is no HDF5 file of datasets, or is damaged"
    ):
        read_artifact(artifact)


def test_a_newer_major_version_says_what_to_do(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipeline.artifact.file.VERSION", "2.0")
    write_artifact(tmp_path / "new.h5", toy_synthetic(), FULL)
    monkeypatch.undo()
    with pytest.raises(
        ArtifactError, match=r"format version 2\.0, this program reads 1\.1; install the avdistill"
    ):
        read_artifact(tmp_path / "new.h5")


def test_a_newer_major_version_may_have_another_structure(artifact: Path) -> None:
    with h5py.File(artifact, "r+") as file:
        file.attrs["format_version"] = "2.0"
        file.create_group("frames")
    with pytest.raises(ArtifactError, match=r"format version 2\.0, this program reads 1\.1"):
        read_artifact(artifact)


def test_an_artifact_prints_as_one_line(artifact: Path) -> None:
    assert repr(read_artifact(artifact)) == (
        "Artifact(herding, IPC 2, 2 classes, frame [4, 1, 3, 8, 8], logmel [4, 1, 8, 8])"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"it is empty\); write or fetch it again"),
        (b"hello", r"it begins with b'hello'\)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "fetch the file by `git lfs pull`"),
    ],
)
def test_another_file_is_named_by_its_first_bytes(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "seed0.h5").write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_artifact(tmp_path / "seed0.h5")


def test_a_file_cut_short_says_how_much_is_there(artifact: Path) -> None:
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[:3000])
    with pytest.raises(ArtifactError, match=rf"ends after 3000 of {len(whole)} bytes"):
        read_artifact(artifact)


def test_a_folder_without_artifacts_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no artifact"):
        list_artifacts(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = artifact.read_bytes()
    monkeypatch.setattr("pipeline.core.hdf5._encode_column", lambda column: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        write_artifact(artifact, toy_synthetic(), FULL)
    assert artifact.read_bytes() == before and [
        path.name for path in artifact.parent.iterdir()
    ] == ["seed0.h5"]


def test_synthetic_sets_between_stages_come_back(tmp_path: Path) -> None:
    synthetic = toy_synthetic()
    save_synthetic(tmp_path / "seed0.safetensors", synthetic)
    read = load_synthetic(tmp_path / "seed0.safetensors")
    assert all(torch.equal(synthetic.rows[m], read.rows[m]) for m in synthetic.rows)
    assert (read.classes, read.formation, read.normalisation) == (
        synthetic.classes,
        synthetic.formation,
        synthetic.normalisation,
    )


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipeline.artifact import ExportSettings, read_artifact, write_artifact
from pipeline.core.errors import OutputError

path = Path(sys.argv[1])
made = read_artifact(path).synthetic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write_artifact(path, made, ExportSettings(storage="float32"))
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 4096, 20000])
def test_a_full_disk_leaves_the_old_file(artifact: Path, room: int) -> None:
    before = artifact.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, artifact, str(room)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        "seed0.h5 cannot be written" in done.stdout
        and "name another output or free disk space" in done.stdout
    )
    assert artifact.read_bytes() == before and [
        path.name for path in artifact.parent.iterdir()
    ] == ["seed0.h5"]
