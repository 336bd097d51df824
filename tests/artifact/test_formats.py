"""The format: every released version is read for ever; rows by NumPy, torch and h5py alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils.data import DataLoader

from pipeline.artifact import ExportSettings, find_faults, read_artifact, write_artifact
from pipeline.artifact.exporters.card import READING
from pipeline.artifact.inspection import render_page
from pipeline.artifact.packing import pack, unpack
from pipeline.core.records import SyntheticSet
from pipeline.training import formation
from pipeline.training import instances as training
from tests.toys.artifacts import soft, toy_synthetic
from tests.toys.project import README, ROOT
from tests.toys.shards import WHOLE

GOLDEN = ROOT / "tests" / "golden"
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
# File -> its digest, and the mean of each modality's rows when it was written.
RELEASED = {
    "1.0-float32.h5": ("7d7d24237bfe9a26", -0.5583, 0.6815),
    "1.0-soft-float16.h5": ("9ebfdcff709b4a22", -0.5583, 0.6815),
    "1.0-scores-uint8.h5": ("602fcd81c6ccad77", -0.5582, 0.6813),
    "1.1-float32.h5": ("12d7718216ac785d", -0.5583, 0.6815),
    "1.1-scores-uint8.h5": ("38a1b4338a4aca61", -0.5582, 0.6813),
}


def test_every_golden_file_is_here() -> None:
    assert {path.name for path in GOLDEN.glob("*.h5")} == set(RELEASED)


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_a_released_file_is_what_it_was(name: str) -> None:
    digest, *means = RELEASED[name]
    read = read_artifact(GOLDEN / name)
    assert read.about["content_digest"].startswith(digest)
    assert [float(read.columns[m].mean()) for m in ("frame", "logmel")] == pytest.approx(
        means, abs=1e-4
    )
    assert not list(find_faults(read.columns, read.about))


def test_a_released_files_soft_labels_and_scores_are_read() -> None:
    assert set(read_artifact(GOLDEN / "1.0-soft-float16.h5").synthetic.soft_label) == {
        "frame",
        "logmel",
    }
    score = "accuracy av 50.0 ± 10.0 [40.0, 60.0] (n = 3)"
    assert score in render_page(GOLDEN / "1.0-scores-uint8.h5")
    whole = "whole data 90.0 ± 2.0 [85.0, 95.0]"
    assert f"{score}; {whole}" in render_page(GOLDEN / "1.1-scores-uint8.h5")


@pytest.mark.parametrize("storage", ["float32", "float16", "uint8"])
def test_rows_are_stored_as_asked_for_and_come_back_as_float32(
    storage: str, tmp_path: Path
) -> None:
    settings = ExportSettings(storage=storage)  # type: ignore[arg-type]
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), settings)
    with h5py.File(tmp_path / "seed0.h5") as file:
        assert file["frame"].dtype == file["logmel"].dtype == storage
    read = read_artifact(tmp_path / "seed0.h5").columns
    step = {"float32": 0.0, "float16": 1e-3, "uint8": 0.5 / 255}[storage]
    for m, rows in toy_synthetic().rows.items():
        assert read[m].dtype == np.float32
        assert np.abs(read[m] - rows.numpy()).max() <= step * float(rows.max() - rows.min()) * 1.001


@given(arrays(np.float32, (2, 1, 2, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_whole_numbers_are_half_a_step_off_at_most(rows: np.ndarray) -> None:
    stored, packing = pack(rows, "uint8")
    assert stored.dtype == np.uint8
    back = unpack({"frame": stored}, {"packing": {"frame": packing}}, ["frame"])["frame"]
    assert np.abs(back - rows).max() <= 0.5001 * packing["scale"] + 1e-2


def loaded(path: Path, synthetic: SyntheticSet) -> dict[str, torch.Tensor]:
    """All training instances of the artifact of a set, as one batch of a loader."""
    write_artifact(path, synthetic, ExportSettings(storage="float32"))
    dataset = read_artifact(path).to_torch()
    (batch,) = DataLoader(dataset, batch_size=len(dataset))  # type: ignore[arg-type]
    return dict(batch)


def test_a_loader_gives_what_students_are_taught(tmp_path: Path) -> None:
    made = soft()
    batch, expected = (
        loaded(tmp_path / "seed0.h5", made),
        training.decode_synthetic_set(made, torch.device("cpu")),
    )
    assert torch.equal(batch["label"], expected.label)
    for m, rows in expected.take(torch.arange(len(expected.label))).items():
        assert torch.equal(batch[m], rows)
        assert torch.equal(batch[f"soft_label_{m}"], expected.soft[m])


def test_a_set_without_soft_labels_loads_without(tmp_path: Path) -> None:
    assert set(loaded(tmp_path / "seed0.h5", toy_synthetic())) == {"frame", "logmel", "label"}


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_h5py_and_numpy_are_enough(name: str, tmp_path: Path) -> None:
    code = f"{EXAMPLE}\nnp.savez('read.npz', label=label, **raw)\n"
    code += "np.savez('instances.npz', **instances)\nimport sys\n"
    code += "assert not {'torch', 'pipeline'} & set(sys.modules)"
    assert len(EXAMPLE.splitlines()) <= 20
    (tmp_path / "seed0.h5").write_bytes((GOLDEN / name).read_bytes())
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    made = read_artifact(GOLDEN / name).synthetic
    with np.load(tmp_path / "read.npz") as read:
        for m, rows in made.rows.items():
            assert np.allclose(read[m], made.normalisation[m].undo(rows).numpy(), atol=2e-3)
    rows, label, _ = formation.decode(made)
    with np.load(tmp_path / "read.npz") as read, np.load(tmp_path / "instances.npz") as grown:
        assert np.array_equal(read["label"], label.numpy())
        for m, instances in rows.items():
            expected = made.normalisation[m].undo(instances).numpy()
            assert grown[m].shape == expected.shape
            assert np.allclose(grown[m], expected, atol=2e-3)


@pytest.mark.parametrize("grids", [{"frame": (1, 1), "logmel": (2, 2)}, WHOLE, {"frame": (4, 2)}])
def test_the_reader_resizes_any_formation(
    grids: dict[str, tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = toy_synthetic()
    made = replace(toy, formation={**toy.formation, **grids})
    write_artifact(tmp_path / "seed0.h5", made, ExportSettings(storage="float32"))
    monkeypatch.chdir(tmp_path)
    read: dict[str, Any] = {}
    exec(EXAMPLE, read)
    rows, label, _ = formation.decode(read_artifact(tmp_path / "seed0.h5").synthetic)
    assert np.array_equal(read["label"], label.numpy())
    for m, instances in rows.items():
        expected = made.normalisation[m].undo(instances).numpy()
        assert np.allclose(read["instances"][m], expected, atol=2e-3)


def test_the_card_has_the_same_reader() -> None:
    assert EXAMPLE in READING.format(file="seed0.h5")
