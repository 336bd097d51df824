"""Importers: published tensors are read as meant, run no code, and are refused with a reason."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.artifact import read_artifact, write_artifact
from pipeline.artifact.importers import dc as family
from pipeline.artifact.importers._files import load_file
from pipeline.artifact.inspection import render_page
from pipeline.core.errors import ParamsError, PipelineError, SourceError
from pipeline.core.files import file_digest
from pipeline.core.records import SyntheticSet
from pipeline.training.instances import decode_synthetic_set
from pipeline.training.loop import ignore_progress
from stages.adopt import adopt
from stages.convert import convert
from stages.evaluate import evaluate
from tests.toys.artifacts import FULL
from tests.toys.plugins import built
from tests.toys.project import TINY, values
from tests.toys.published import CLASSES, LAYOUTS, PUBLISHED, normal, save
from tests.toys.published.avdd import classwise
from tests.toys.published.avdd import write_files as avdd
from tests.toys.published.dc import write_files as dc
from tests.toys.published.mtt import write_files as mtt
from tests.toys.samples import toy_real, write_split


def read(layout: str, place: Path, **changes: Any) -> SyntheticSet:
    return dataclasses.replace(built("importer", layout), **changes).read(place)


@pytest.mark.parametrize("layout", PUBLISHED)
def test_an_adopted_set_is_an_artifact(layout: str, tmp_path: Path) -> None:
    place = PUBLISHED[layout](tmp_path / layout)
    message = adopt(layout, place, tmp_path / "set.h5", params=values())
    synthetic = read_artifact(tmp_path / "set.h5").synthetic
    expected = read(layout, place)
    assert message.startswith(str(tmp_path / "set.h5"))
    assert all(torch.equal(rows, synthetic.rows[m]) for m, rows in expected.rows.items())
    assert (synthetic.classes, len(synthetic.classes)) == (expected.classes, CLASSES)
    files = [place] if place.is_file() else sorted(place.iterdir())
    assert synthetic.provenance["adopted"] == {file.name: file_digest(file) for file in files}
    assert "adopted" in render_page(tmp_path / "set.h5")


def test_avdd_is_packed_normalised_and_class_by_class(tmp_path: Path) -> None:
    synthetic = read("avdd", avdd(tmp_path))
    assert synthetic.rows["frame"].shape == (100, 1, 3, 8, 8) and synthetic.rows[
        "logmel"
    ].shape == (100, 1, 8, 4)
    assert torch.equal(synthetic.rows["frame"][:, 0], normal(100, 3, 8, 8))
    assert torch.equal(
        synthetic.normalisation["logmel"].undo(synthetic.rows["logmel"]), synthetic.rows["logmel"]
    )
    assert synthetic.label.tolist() == [c for c in range(10) for _ in range(10)]
    assert len(decode_synthetic_set(synthetic, torch.device("cpu")).label) == 400


def test_avdd_by_class_is_the_same_where_it_was_not_clipped(tmp_path: Path) -> None:
    plain = read("avdd", classwise(tmp_path), units={"frame": "plain", "logmel": "normalised"})
    whole = read("avdd", tmp_path / "whole")
    assert torch.equal(plain.rows["logmel"], whole.rows["logmel"])
    raw = whole.normalisation["frame"].undo(whole.rows["frame"])
    inside = (raw > 0) & (raw < 255)
    assert torch.allclose(plain.rows["frame"][inside], whole.rows["frame"][inside], atol=1e-5)


def test_avdd_of_both_kinds_is_the_whole_one(tmp_path: Path) -> None:
    assert len(read("avdd", avdd(classwise(tmp_path))).provenance["adopted"]) == 2


def test_avdd_of_either_ending_is_found(tmp_path: Path) -> None:
    assert len(read("avdd", avdd(tmp_path, ending="pth")).label) == 100


def test_classes_may_stand_in_a_file(tmp_path: Path) -> None:
    place = avdd(tmp_path)
    (place / "classes.txt").write_text("\n".join(f"name {c}" for c in range(CLASSES)) + "\n")
    assert read("avdd", place, classes="classes.txt").classes[3] == "name 3"


def test_dc_is_one_experiment_of_a_file(tmp_path: Path) -> None:
    place = dc(tmp_path)
    first, second = (read("dc", place, experiment=e) for e in range(2))
    assert torch.equal(first.rows["frame"][:, 0], normal(20, 3, 8, 8)) and set(first.rows) == {
        "frame"
    }
    assert not torch.equal(first.rows["frame"], second.rows["frame"])
    assert (second.provenance["method"], second.provenance["seed"], second.ipc) == ("dm", 1, 2)
    assert torch.equal(read("dc", tmp_path).rows["frame"], first.rows["frame"])


def test_an_adopted_set_of_pictures_is_evaluated_on_pictures(tmp_path: Path) -> None:
    real = {split: toy_real(4, seed=seed) for seed, split in enumerate(("train", "val", "test"))}
    for split, one in real.items():
        write_split(tmp_path / "shards" / split, one, ("frame",))
    label = torch.arange(2).repeat_interleave(2)
    place = save(
        tmp_path / "res_x.pt", {"data": [[normal(4, 3, 8, 8), label]], "accs_all_exps": {}}
    )
    small = (
        "evaluate.repeats=1",
        "evaluate.bootstrap=20",
        "import.dc.classes=[class0, class1]",
        "import.dc.preprocessing=toy",
    )
    params = values(*TINY, *small)
    adopt("dc", place, tmp_path / "set.h5", params=params)
    machine = {"device": "cpu", "workers": 1, "report": ignore_progress}
    assert "accuracy" in evaluate(
        tmp_path / "set.h5", tmp_path / "shards", tmp_path / "scores.json", params=params, **machine
    )


def test_dc_puts_classes_in_order(tmp_path: Path) -> None:
    images, label = normal(20, 3, 8, 8), torch.arange(CLASSES).repeat(2)
    place = save(
        tmp_path / "res_DC_CIFAR10_ConvNet_2ipc.pt",
        {"data": [[images, label]], "accs_all_exps": {}},
    )
    assert torch.equal(read("dc", place).rows["frame"][:, 0], images[label.argsort(stable=True)])


def test_mtt_has_soft_labels_and_a_rate(tmp_path: Path) -> None:
    synthetic = read("mtt", mtt(tmp_path))
    logits = torch.load(tmp_path / "labels_best.pt", weights_only=True)
    assert torch.allclose(synthetic.soft_label["frame"][:, 0], logits.softmax(1))
    assert (
        synthetic.provenance["learned_rates"] == {"frame": 0.02}
        and "ZCA" in synthetic.provenance["whitening"]
    )


def test_mtt_takes_hard_labels_and_no_rate(tmp_path: Path) -> None:
    save(mtt(tmp_path) / "labels_best.pt", torch.arange(CLASSES).repeat_interleave(2))
    (tmp_path / "lr_best.pt").unlink()
    synthetic = read("mtt", tmp_path, labels="hard")
    assert not synthetic.soft_label and "learned_rates" not in synthetic.provenance


def test_what_goes_out_to_dd_ranking_comes_back(tmp_path: Path) -> None:
    synthetic = read("mtt", mtt(tmp_path / "published"))
    write_artifact(tmp_path / "set.h5", synthetic, FULL)
    convert("ddranking", tmp_path / "set.h5", tmp_path / "out", params=values())
    (tmp_path / "out" / "frame" / "hard_labels.pt").unlink()
    again = read("mtt", tmp_path / "out" / "frame")
    assert torch.equal(again.rows["frame"], synthetic.rows["frame"]) and torch.equal(
        again.label, synthetic.label
    )
    assert torch.allclose(again.soft_label["frame"], synthetic.soft_label["frame"], atol=1e-6)
    assert again.provenance["learned_rates"] == synthetic.provenance["learned_rates"]


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("layout", PUBLISHED)
def test_code_in_a_file_is_refused_and_not_run(layout: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    place = PUBLISHED[layout](tmp_path / layout)
    hostile = save(tmp_path / layout / LAYOUTS[layout].FILE, {"data": [Code(mark)]})
    with pytest.raises(
        SourceError,
        match=(
            r"holds more than tensors, posix\.mkdir, which could run code, so none of it was read"
        ),
    ):
        read(layout, place)
    assert not mark.exists()
    torch.load(hostile, weights_only=False)
    assert mark.exists()  # so it would have run


def test_numbers_of_numpy_need_all_that_is_allowed(tmp_path: Path) -> None:
    place = dc(tmp_path)
    load_file(place, family.NUMBERS[1:])  # the name that numpy 1 gave is not in this file
    for left_out in family.NUMBERS[1:]:
        with pytest.raises(SourceError, match=str(place)):
            load_file(place, [one for one in family.NUMBERS[1:] if one is not left_out])


def test_numbers_of_numpy_1_are_read(tmp_path: Path) -> None:
    place, old = dc(tmp_path / "new"), tmp_path / "res_old.pt"
    with zipfile.ZipFile(place) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, source.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            )
    assert load_file(old, family.NUMBERS)["accs_all_exps"] == {"ConvNet": [0.25, 0.5]}
    with pytest.raises(SourceError):
        load_file(old, family.NUMBERS[1:])


def test_other_types_of_numpy_are_refused(tmp_path: Path) -> None:
    place = save(
        tmp_path / "res_x.pt", {"data": [], "accs_all_exps": np.array([object()], dtype=object)}
    )
    with pytest.raises(SourceError, match="holds more than tensors, numpy"):
        load_file(place, family.NUMBERS)


@settings(max_examples=30)
@given(st.integers(0, 1700), st.binary(min_size=1, max_size=4))
def test_damage_is_one_error_or_none(at: int, content: bytes) -> None:
    buffer = io.BytesIO()
    torch.save({"data": [[normal(10, 3, 2, 2), torch.arange(10)]]}, buffer)
    whole = buffer.getvalue()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(PipelineError):
        place = Path(folder) / "res_x.pt"
        place.write_bytes(whole[:at] + content + whole[at + len(content) :])
        read("dc", place)


WRONG: dict[str, tuple[str, dict[str, Any], type[PipelineError], str]] = {
    "too few classes": (
        "dc",
        {"classes": ("a", "b")},
        SourceError,
        "not integers below 2; name the classes",
    ),
    "a class twice": ("dc", {"classes": ("a",) * 10}, ParamsError, "10 names, 1 of them different"),
    "no file of classes": (
        "dc",
        {"classes": "none.txt"},
        SourceError,
        "expected the names of the classes, one per line",
    ),
    "no such experiment": (
        "dc",
        {"experiment": 2},
        SourceError,
        r"holds 2 experiments; expected .* of experiment 2",
    ),
    "plain but normalised": (
        "dc",
        {"units": {"frame": "plain"}},
        ParamsError,
        r"plain values lie within \(0.0, 1.0\)",
    ),
    "a grid that does not divide": (
        "dc",
        {"formation": {"frame": (3, 3)}},
        ParamsError,
        "the grid divides the rows",
    ),
    "another ipc": (
        "avdd",
        {"ipc": 20},
        SourceError,
        "holds 100 rows of frame, expected ipc 20 x 10 classes",
    ),
    "no such iteration": (
        "avdd",
        {"iteration": 1},
        SourceError,
        r"holds no exp_0_imgSyn_1\.pt and no exp_0_imgSyn_1\.pth",
    ),
    "hard but soft": (
        "mtt",
        {"labels": "hard"},
        SourceError,
        r"is a tensor \[20, 10\], expected a tensor \[rows\]",
    ),
    "probabilities but logits": (
        "mtt",
        {"labels": "probabilities"},
        ParamsError,
        "are not probabilities",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    layout, changes, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        read(layout, PUBLISHED[layout](tmp_path), **changes)


def test_pictures_in_0_to_1_are_not_normalised(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"normalised values leave 0\.\.1"):
        read("avdd", classwise(tmp_path))


def test_means_of_other_channels_are_refused(tmp_path: Path) -> None:
    grey = {
        "frame": dataclasses.replace(
            built("importer", "dc").normalise["frame"], mean=(0.5,), std=(0.2,)
        )
    }
    with pytest.raises(ParamsError, match="mean and std have 3 values each"):
        read("dc", dc(tmp_path), normalise=grey)


def test_whitened_pixels_have_no_mean(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="whitened pixels have no mean and std"):
        read("mtt", mtt(tmp_path), normalise=built("importer", "dc").normalise)


def test_modalities_are_the_same_everywhere() -> None:
    with pytest.raises(ParamsError, match="expected one of each for every modality"):
        dataclasses.replace(built("importer", "dc"), units={"logmel": "plain"})


@pytest.mark.parametrize("value", [[1, 2], {"data": 3}, torch.zeros(3)])
def test_what_is_no_such_file_says_what_was_expected(value: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no list `data`"):
        read("dc", save(tmp_path / "res_x.pt", value))


def test_not_finite_values_are_refused(tmp_path: Path) -> None:
    save(mtt(tmp_path) / "images_best.pt", torch.full((20, 3, 8, 8), torch.nan))
    with pytest.raises(SourceError, match="holds NaN or infinite values"):
        read("mtt", tmp_path)


def test_logits_of_rows_in_another_order_are_refused(tmp_path: Path) -> None:
    labels = mtt(tmp_path) / "labels_best.pt"
    save(labels, torch.load(labels, weights_only=True).flip(0))
    with pytest.raises(SourceError, match="expected class by class"):
        read("mtt", tmp_path)


def test_several_files_need_a_name(tmp_path: Path) -> None:
    dc(tmp_path)
    save(tmp_path / "res_other.pt", {})
    with pytest.raises(SourceError, match=r"holds 2 files res_\*\.pt; name the one to read"):
        read("dc", tmp_path)
