"""The ablation's rows are methods with values of the params file changed, and its labelled row has another row's sets."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from pipeline.core import params, plugins
from pipeline.core.tensors import load_synthetic
from tests.toys.project import ROOT, TINY, values

_spec = importlib.util.spec_from_file_location("ablation", ROOT / "benchmarks/ablation.py")
assert _spec
assert _spec.loader
ablation = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ablation)

SMALL = ROOT / "presets/small.yaml"


def changed_by(row: str) -> list[str]:
    made: list[str] = ablation.changes_of(row, str(SMALL))
    return made


@pytest.fixture
def place(toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the toy's shards, rankings and bank where `dvc repro` leaves them, in which the script runs."""
    (tmp_path / "data/toy").mkdir(parents=True)
    (tmp_path / "work/toy").mkdir(parents=True)
    (tmp_path / "data/toy/shards").symlink_to(toy_data / "shards")
    for name in ("coreset", "experts"):
        (tmp_path / "work/toy" / name).symlink_to(toy_data / name)
    with (tmp_path / "params.yaml").open("w") as stream:
        YAML().dump(values(*TINY).values, stream)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "work/ablation/toy"


@pytest.mark.parametrize("row", ablation.ROWS)
def test_a_row_changes_what_its_method_has(row: str) -> None:
    method, changed = ablation.ROWS[row]
    kind = plugins.find("method", method)
    made, given = (
        params.load(SMALL, changes).build(f"distill.{method}", kind)
        for changes in (changed_by(row), ())
    )
    assert bool(changed) == any(getattr(made, name) != getattr(given, name) for name in changed)


def test_the_class_as_label_changes_nothing_else_of_the_candidates() -> None:
    hard, soft = (
        params.load(SMALL, given).get_section("distill.jcf")["others"]
        for given in (changed_by("jcf-hard"), ())
    )
    assert [{**one, "temperature": None} for one in hard] == [
        {**one, "temperature": None} for one in soft
    ]
    assert all(heat is None for one in hard for heat in one["temperature"].values())


def test_nothing_moves_in_any_candidate_of_the_still_row() -> None:
    section = params.load(SMALL, changed_by("jcf-still")).get_section("distill.jcf")
    given = params.load(SMALL).get_section("distill.jcf")
    assert all(rates == [0.0] for rates in section["rates"].values())
    assert [{**one, "rates": None} for one in section["others"]] == [
        {**one, "rates": None} for one in given["others"]
    ]
    assert all(rate == 0.0 for one in section["others"] for rate in one["rates"].values())


def test_the_row_of_means_steps_as_far_as_its_slope_is_flat() -> None:
    section, given = (
        params.load(SMALL, changes).get_section("distill.jcf")
        for changes in (changed_by("jcf-mean"), ())
    )
    steps = given["bandwidth"] / section["bandwidth"]
    for ours, theirs in zip((section, *section["others"]), (given, *given["others"]), strict=True):
        for m, rates in theirs["rates"].items():
            assert torch.tensor(ours["rates"][m]).tolist() == (steps * torch.tensor(rates)).tolist()


def test_a_labelled_row_says_which_row_it_waits_for(place: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"toy/avdd/ipc1/synthetic does not exist, .*; make row avdd first"
    ):
        ablation.make("toy", "avdd-labelled", 1, place / "avdd-labelled/ipc1", "params.yaml")


@pytest.mark.slow
def test_a_labelled_row_has_the_other_rows_sets(place: Path) -> None:
    for row in ("avdd", "avdd-labelled"):
        ablation.make("toy", row, 1, place / row / "ipc1", "params.yaml")
        assert (place / row / "ipc1/published/seed0.h5").exists()
    hard, soft = (
        load_synthetic(place / row / "ipc1/synthetic/seed0.safetensors")
        for row in ("avdd", "avdd-labelled")
    )
    assert all(torch.equal(rows, soft.rows[m]) for m, rows in hard.rows.items())
    assert not hard.soft_label
    assert soft.soft_label.keys() == soft.rows.keys()
