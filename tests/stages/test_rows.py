"""Rows of `distill` from set to report: the name is a label, the plugin stands beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from pipeline.artifact import read_about
from pipeline.core.params import Params, load
from pipeline.core.tensors import load_synthetic
from pipeline.distillation.distributed import Ranks
from pipeline.training.loop import ignore_progress
from stages.ceiling import ceiling
from stages.distill import distill
from stages.evaluate import evaluate
from stages.export import export
from stages.publish import publish
from stages.report import report
from stages.verify import verify
from tests.toys.project import TINY

ROWS = """
grid: {datasets: [toy], methods: [herding, dm, dm-fast, avdd, avdd-labelled], ipcs: [1], seeds: [0]}
decode: {logmel: {rate: 700, n_fft: 256, hop: 100, n_mels: 8, f_max: 350.0, f_min: 0.0}}
distill:
  dm: &short {steps: 2, rates: {frame: [0.1], logmel: [0.1]}}
  avdd: *short
  dm-fast: {method: dm, steps: 1}
  avdd-labelled: {method: avdd_labelled, <<: *short}
evaluate: {repeats: 1, bootstrap: 20}
ceiling: {repeats: 1}
report: {baseline: avdd}
"""
MACHINE: dict[str, Any] = {"device": "cpu", "report": ignore_progress, "workers": 1}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Params:
    path = tmp_path_factory.mktemp("rows") / "rows.yaml"
    path.write_text(ROWS)
    return load(path, TINY)


@pytest.fixture(scope="module")
def work(given: Params, toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the grid's cells, from sets to published artifacts."""
    work = tmp_path_factory.mktemp("work")
    for row in given.get_section("grid")["methods"]:
        cell = work / "toy" / row / "ipc1"
        distill(
            *(row, 1, toy_data / "shards/train", toy_data / "coreset", cell / "synthetic"),
            experts=toy_data / "experts",
            memory_mb=64,
            ranks=Ranks(),
            params=given,
            **MACHINE,
        )
        export(cell / "synthetic", cell / "artifacts", params=given)
        evaluate(
            cell / "artifacts", toy_data / "shards", cell / "scores.json", params=given, **MACHINE
        )
        publish(cell / "artifacts", cell / "scores.json", cell / "published", params=given)
    ceiling(toy_data / "shards", work / "toy/ceiling.json", params=given, **MACHINE)
    return work


def about(work: Path, row: str) -> Any:
    return read_about(work / "toy" / row / "ipc1/published/seed0.h5")[1]


@pytest.mark.parametrize(
    ("row", "plugin"),
    [("herding", "coreset"), ("dm-fast", "dm"), ("avdd-labelled", "avdd_labelled")],
)
def test_an_artifact_names_the_row_and_its_plugin(row: str, plugin: str, work: Path) -> None:
    assert (about(work, row)["method"], about(work, row)["plugin"]) == (row, plugin)
    assert "method" not in about(work, row)["params"]


def test_a_row_of_its_plugins_name_has_no_more_attributes(work: Path) -> None:
    assert about(work, "dm")["method"] == "dm" and "plugin" not in about(work, "dm")


def test_the_labelled_row_has_the_rows_of_avdd_and_soft_labels(work: Path) -> None:
    hard, soft = (
        load_synthetic(work / "toy" / row / "ipc1/synthetic/seed0.safetensors")
        for row in ("avdd", "avdd-labelled")
    )
    assert all(torch.equal(rows, soft.rows[m]) for m, rows in hard.rows.items())
    assert not hard.soft_label and soft.soft_label.keys() == soft.rows.keys()


def test_a_report_compares_the_rows(given: Params, work: Path) -> None:
    report(work, work / "index.html", params=given)
    table = (work / "index.txt").read_text()
    assert all(row in table for row in given.get_section("grid")["methods"])
    assert "Ablation" in (work / "index.html").read_text()
    assert "minus avdd" in (work / "index.md").read_text()


def test_old_values_in_an_artifact_reproduce_its_scores(work: Path, toy_data: Path) -> None:
    """Of a time when a network had its own file, and rows named no plugin."""
    file = work / "toy/dm/ipc1/published/seed0.h5"
    with h5py.File(file, "r+") as artifact:
        carried = json.loads(artifact.attrs["evaluation"])
        carried["params"]["networks"]["resnet10"] = {"width": 8}
        artifact.attrs["evaluation"] = json.dumps(carried)
    lines = verify(file, reproduce=toy_data / "shards", **MACHINE)
    scores = re.findall(r"accuracy \w+: ([\d.]+) \| ([\d.]+)", lines)
    assert len(scores) == 3 and all(old == new for old, new in scores), lines
