"""The feature store: tables are keyed, checked, name their origin, and are made in parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.artifact import write_artifact
from pipeline.core import tensors
from pipeline.core.checkpoints import PartialResults
from pipeline.core.errors import CellError, StoreError
from pipeline.core.hdf5 import read_table, write_table
from pipeline.coresets.rankings import Coreset
from pipeline.distillation.inputs import Runtime
from pipeline.distillation.run import DistillCell
from pipeline.evaluation import Evaluate
from pipeline.features.extractors import _batches
from pipeline.features.store import read_features, write_features
from pipeline.training import loop as training
from pipeline.training.loop import ignore_progress
from stages.extract import extract
from tests.toys.artifacts import FULL, toy_synthetic
from tests.toys.plugins import built, rankings, toy_bench, toy_features, toy_inputs
from tests.toys.project import CPU, values
from tests.toys.samples import ORIGIN, toy_real


def test_features_come_back_with_their_digest(tmp_path: Path) -> None:
    features = toy_features()
    digest = write_features(tmp_path / "f.h5", features)
    read, found = read_features(tmp_path / "f.h5")
    assert found == digest
    assert (read.keys, read.classes) == (features.keys, features.classes)
    assert all(np.array_equal(read.vectors[m], features.vectors[m]) for m in features.vectors)


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_features(tmp_path / name, toy_features())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_an_artifact_is_no_feature_table(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    with pytest.raises(StoreError, match="is no feature table"):
        read_features(tmp_path / "seed0.h5")


def test_a_missing_table_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"does not exist; `avdistill extract` writes feature tables"
    ):
        read_features(tmp_path / "f.h5")


def test_a_table_describes_its_vectors(tmp_path: Path) -> None:
    features = toy_features()
    write_features(tmp_path / "f.h5", features)
    _, attributes = read_table(tmp_path / "f.h5")
    message = json.loads(attributes["statistics"])
    for modality, vectors in features.vectors.items():
        norms = np.linalg.norm(vectors.astype(float), axis=1)
        assert (message[modality]["count"], message[modality]["width"]) == vectors.shape
        found = [message[modality][name] for name in ("least_norm", "mean_norm", "greatest_norm")]
        assert np.allclose(found, [norms.min(), norms.mean(), norms.max()], rtol=1e-5)


def test_a_table_comes_back_with_its_origin(tmp_path: Path) -> None:
    origin = replace(ORIGIN, params={"batch": 2, "augment": {"frame": ["crop"]}})
    write_features(tmp_path / "f.h5", replace(toy_features(), origin=origin))
    assert (
        read_features(tmp_path / "f.h5", shards="toy0", preprocessing="toy", extractor="toy")[
            0
        ].origin
        == origin
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [("shards", "toy0"), ("preprocessing", "toy"), ("extractor", "toy"), ("weights", "none")],
)
def test_a_reader_of_something_else_is_refused_by_both_digests(
    name: str, found: str, tmp_path: Path
) -> None:
    write_features(tmp_path / "f.h5", toy_features())
    with pytest.raises(
        StoreError,
        match=(
            rf"f.h5 is of {name} {found}, expected {name} 0123456789ab; "
            "run `avdistill extract` again"
        ),
    ):
        read_features(tmp_path / "f.h5", **{name: "0123456789abcdef"})


def test_a_table_that_does_not_say_its_shards_is_refused(tmp_path: Path) -> None:
    write_table(
        tmp_path / "f.h5",
        {"key": np.array(["a"]), "label": np.zeros(1, int)},
        {"format": "avdistill-features"},
    )
    with pytest.raises(
        StoreError,
        match=(
            "lacks the attributes extractor, params, shards, preprocessing, weights; "
            "run `avdistill extract`"
        ),
    ):
        read_features(tmp_path / "f.h5")


def test_numbers_that_are_none_are_not_written(tmp_path: Path) -> None:
    features = toy_features()
    features.vectors["frame"][3, 2] = np.nan
    with pytest.raises(
        StoreError, match="1 of 24 frame vectors hold NaN or infinite numbers, first clip001_0001"
    ):
        write_features(tmp_path / "f.h5", features)
    assert not list(tmp_path.iterdir())


def test_tables_that_were_put_together_are_not_written(tmp_path: Path) -> None:
    one = toy_features()
    both = replace(
        one,
        keys=one.keys * 2,
        label=np.tile(one.label, 2),
        vectors={m: np.concatenate([rows, rows + 1]) for m, rows in one.vectors.items()},
    )
    with pytest.raises(
        StoreError,
        match="24 of 48 rows have a key that another row has; expected one row per sample",
    ):
        write_features(tmp_path / "f.h5", both)


def test_a_ranking_of_other_shards_is_refused_by_both_digests() -> None:
    ranked = {name: replace(coreset, shards="f" * 64) for name, coreset in rankings().items()}
    with pytest.raises(
        CellError,
        match=(
            f"made from shards {'f' * 12}, the shards here are toy0; run `avdistill extract` and"
        ),
    ):
        toy_cell(ranked)


def test_rankings_of_two_tables_are_refused_by_both_digests() -> None:
    ranked = {
        "herding": rankings()["herding"],
        "random": replace(rankings()["random"], table="e" * 64),
    }
    with pytest.raises(
        CellError,
        match=rf"'herding' is of feature table toy and 'random' of {'e' * 12}, expected one table",
    ):
        toy_cell(ranked)


def toy_cell(ranked: dict[str, Coreset]) -> DistillCell:
    bench = toy_bench()
    given = {
        "method": "random",
        "distiller": built("method", "random"),
        "ipc": 1,
        "inputs": toy_inputs(coresets=ranked),
    }
    budget = values().build("evaluate", Evaluate).protocols.budget
    return DistillCell(
        **given,
        runtime=Runtime(device=CPU, report=ignore_progress),
        budget=budget,
        trainer=bench.trainer,
        val=bench.val,
    )


class Interrupting:
    """A report that keeps its calls, and raises KeyboardInterrupt once so many rows are done."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, []

    def __call__(self, done: int, total: int, **figures: float) -> None:
        self.calls.append((done, total, bool(figures)))
        if done >= self.at and not figures:
            raise KeyboardInterrupt


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four rows."""
    monkeypatch.setattr(training, "PASS", 2)
    monkeypatch.setattr(_batches, "BATCHES", 2)


@pytest.mark.parametrize("name", ["convnet", "clip"])
def test_an_interrupted_extraction_goes_on_to_the_same_bytes(
    name: str, shards: Path, tmp_path: Path, small_parts: None, request: pytest.FixtureRequest
) -> None:
    changes = ["extract.convnet.steps=2", "networks.convnet.width=4", "extract.clip.batch=2"]
    if name == "clip":
        changes.append(f"extract.clip.model={request.getfixturevalue('toy_clip')}")
    params = values(*changes)

    def run(out: str, report: Interrupting) -> None:
        extract(
            shards / "train",
            tmp_path / out / "f.h5",
            extractor=name,
            params=params,
            device="cpu",
            report=report,
        )

    whole, stopped, resumed = Interrupting(10**6), Interrupting(10), Interrupting(10**6)
    run("whole", whole)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stopped)
    assert not (tmp_path / "stopped" / "f.h5").exists()
    run("stopped", resumed)
    assert (tmp_path / "stopped" / "f.h5").read_bytes() == (
        tmp_path / "whole" / "f.h5"
    ).read_bytes()
    # Two parts of four rows, and the trained weights, were whole; the third part was not.
    assert [done for done, _, _ in resumed.calls] == [0, *range(10, 25, 2)]
    assert not any(trained for _, _, trained in resumed.calls)
    assert not list((tmp_path / "stopped" / ".work").iterdir())


def test_parts_of_another_encoder_are_not_taken(tmp_path: Path) -> None:
    real, parts = toy_real(), PartialResults(folder=tmp_path)

    def table(value: float) -> np.ndarray:
        source = replace(ORIGIN, weights=f"{value:012.0f}")

        def ones(index: slice) -> dict[str, torch.Tensor]:
            return {"frame": torch.full((index.stop - index.start, 3), value)}

        return _batches.embed_in_batches(real, ones, source, 4, parts, ignore_progress).vectors[
            "frame"
        ]

    assert np.unique(table(1.0)).tolist() == [1.0]
    assert np.unique(table(2.0)).tolist() == [2.0]


def test_equal_weights_have_one_digest() -> None:
    weights = {"a": torch.arange(3.0), "b": torch.ones((), dtype=torch.bfloat16)}
    first = tensors.digest(weights)
    assert first == tensors.digest(dict(reversed(weights.items())))
    assert first != tensors.digest({**weights, "a": torch.arange(3.0).reshape(1, 3)})
    assert first != tensors.digest({**weights, "a": torch.arange(3.0).double()})
    assert first != tensors.digest({**weights, "a": torch.tensor([0.0, 1.0, 2.5])})
