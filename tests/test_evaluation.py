"""Evaluation: one rule on the validation split, the same budget for every row, and a test split that no choice can see."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from conftest import CPU, toy_real, values
from test_artifact import toy_synthetic
from test_plugins import NETWORKS, built

from pipeline import evaluation, training
from pipeline.errors import ArtifactError
from pipeline.evaluation import Bench, Budget, Evaluate, Protocols
from pipeline.records import RealSet
from pipeline.training import silent

SETTINGS = values().build("evaluate", Evaluate)
BUDGET = dataclasses.replace(SETTINGS.protocols.budget, steps=4, trials=3)


class Forbidden(RealSet):
    """A split that notices every look at its rows or labels."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("rows", "label", "normalised", "of_class"):
            raise AssertionError(f"looked at {name} of the test split")
        return super().__getattribute__(name)


def forbidden(real: RealSet) -> RealSet:
    split = object.__new__(Forbidden)
    for field in dataclasses.fields(real):
        object.__setattr__(split, field.name, getattr(real, field.name))
    return split


def bench(**changes: Any) -> Bench:
    base = Bench(
        val=toy_real(4, seed=1),
        test=toy_real(6, seed=2),
        network=NETWORKS["convnet"],
        metrics={"accuracy": built("metrics", "accuracy")},
        repeats=2,
        bootstrap=50,
        device=CPU,
        report=silent,
    )
    return dataclasses.replace(base, **changes)


def test_no_choice_looks_at_the_test_split() -> None:
    data = training.decoded(toy_synthetic())
    blind = bench(test=forbidden(toy_real(6, seed=2)))
    trials = [evaluation.validate(data, recipe, BUDGET, blind) for recipe in BUDGET.recipes(len(data.label), 0)]
    assert set(evaluation.best(trials)) == {"frame", "logmel"}
    variants = built("distillers", "dm").variants()
    picks, spent = evaluation.tuned(variants, lambda variant: toy_synthetic(), BUDGET, blind)
    assert len(spent) == len(variants) > 1 and set(picks) == {"frame", "logmel"}


def test_other_test_labels_change_the_score_and_no_choice() -> None:
    data = [training.decoded(toy_synthetic())]
    test = toy_real(6, seed=2)
    turned = dataclasses.replace(test, label=1 - test.label)
    one, other = (evaluation.score(data, BUDGET, 0, bench(test=split)) for split in (test, turned))
    assert (one.chosen, one.trials) == (other.chosen, other.trials)
    assert one.runs[0]["accuracy"]["a"] == pytest.approx(1 - other.runs[0]["accuracy"]["a"])


def test_each_modality_takes_its_best_trial_and_the_first_of_equals() -> None:
    trials = [{"accuracy": {"frame": 0.5, "logmel": 0.1}}, {"accuracy": {"frame": 0.5, "logmel": 0.9}}]
    assert evaluation.best(trials) == {"frame": 0, "logmel": 1}


@pytest.mark.parametrize("spent", [0, 1, 3, 6, 9])
def test_every_row_has_the_same_number_of_trials(spent: int) -> None:
    budget = SETTINGS.protocols.budget
    rates = [recipe.rates["frame"] for recipe in budget.recipes(40, spent)]
    assert len(rates) == max(budget.trials - spent, 1)
    assert budget.lowest < min(rates) <= max(rates) < budget.highest


def test_the_published_protocol_has_the_published_steps() -> None:
    (recipe,) = SETTINGS.protocols.avdd.recipes(40, 0)
    assert recipe.steps == 60
    assert [recipe.schedule(epoch / 30) for epoch in (0, 10, 11, 20, 21, 29)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert (recipe.rates, set(recipe.head_rates.values())) == ({"frame": 1e-4, "logmel": 1e-3}, {1e-3})


def test_scores_repeat_and_count_their_runs() -> None:
    data = [training.decoded(toy_synthetic())] * 2
    one, other = (evaluation.score(data, BUDGET, 0, bench()) for _ in range(2))
    assert one.metrics == other.metrics and one.runs == other.runs
    av = one.metrics["accuracy"]["av"]
    assert av["n"] == 4
    assert av["mean"] == pytest.approx(sum(run["accuracy"]["av"] for run in one.runs) / 4)
    assert av["low"] <= av["mean"] <= av["high"]


def test_the_interval_resamples_source_clips() -> None:
    """Two rows of one clip are one observation: an interval over clips is wider than one over rows."""
    rows = [torch.tensor([1.0, 1.0, 0.0, 0.0] * 3)]
    split = toy_real(6, seed=2)
    paired = evaluation._summary(rows, bench(test=split, bootstrap=2000))
    single = evaluation._summary(rows, bench(test=dataclasses.replace(split, clips=split.keys), bootstrap=2000))
    assert paired["high"] - paired["low"] > 1.2 * (single["high"] - single["low"])


def test_one_modality_has_one_view() -> None:
    real = toy_real()
    deaf = dataclasses.replace(real, rows={"frame": real.rows["frame"]})
    scores = evaluation.score([training.whole(deaf)], BUDGET, 0, bench(val=deaf, test=deaf))
    assert set(scores.metrics["accuracy"]) == {"v"}


def test_other_classes_and_other_preprocessing_are_refused() -> None:
    real = toy_real()
    with pytest.raises(ArtifactError, match="holds the classes class0, class1, the shards x, y"):
        evaluation.refuse_other_data(toy_synthetic(), dataclasses.replace(real, classes=("x", "y")), "seed0.h5")
    with pytest.raises(ArtifactError, match="preprocessing toy, the shards have other"):
        evaluation.refuse_other_data(toy_synthetic(), dataclasses.replace(real, preprocessing="other"), "seed0.h5")


def test_protocols_are_the_two_of_the_design() -> None:
    assert [field.name for field in dataclasses.fields(Protocols)] == ["avdd", "budget"]
    assert isinstance(SETTINGS.protocols.budget, Budget)
