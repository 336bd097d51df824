"""Evaluation: one rule on the validation split, one budget, no choice that sees the test split."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline import evaluation
from pipeline.core.errors import ArtifactError, ParamsError, ShardError
from pipeline.core.records import RealSet
from pipeline.evaluation import BudgetProtocol, Evaluate, Measurement, PCAProjection, Protocols
from pipeline.evaluation.setup import EvaluationSetup
from pipeline.evaluation.tasks import _embeddings
from pipeline.evaluation.tasks.ranking import spearman
from pipeline.evaluation.tasks.shuffle import _shuffle
from pipeline.models.model import AudioVisual
from pipeline.training import instances as training
from pipeline.training.students import TrainingJob
from tests.toys.artifacts import toy_synthetic
from tests.toys.plugins import built, head_for, rows_of, toy_bench, toy_inputs
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real

SETTINGS = values().build("evaluate", Evaluate)
BUDGET = dataclasses.replace(SETTINGS.protocols.budget, steps=4, trials=3)
RECOGNITION = built("task", "recognition")
TOY = training.decode_synthetic_set(toy_synthetic(), CPU)


class Forbidden(RealSet):
    """A split that notices every look at its rows or labels."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("rows", "label", "normalise", "indices_of"):
            raise AssertionError(f"looked at {name} of the test split")
        return super().__getattribute__(name)


def forbidden(real: RealSet) -> RealSet:
    split = object.__new__(Forbidden)
    for field in dataclasses.fields(real):
        object.__setattr__(split, field.name, getattr(real, field.name))
    return split


def recognised(**changes: Any) -> Any:
    return RECOGNITION.score([TOY], BUDGET, 0, toy_bench(**changes))


def test_a_look_at_the_test_split_is_noticed() -> None:
    with pytest.raises(AssertionError, match="of the test split"):
        recognised(test=forbidden(toy_real(6, seed=2)))


def test_choices_take_no_test_split() -> None:
    bench = toy_bench()
    _, trials = evaluation.choose(TOY, BUDGET, 0, bench.trainer, bench.val, evaluation.accuracy)
    assert len(trials) == 3 * len(BUDGET.stops)
    variants = built("method", "dm").variants(toy_inputs(), 1)
    picks, spent = evaluation.choose_variants(
        variants, [toy_synthetic() for _ in variants], BUDGET, bench.trainer, bench.val
    )
    assert len(spent) == len(variants) > 1 and set(picks) == {"frame", "logmel"}


@pytest.mark.parametrize("task", rows_of("task"))
def test_other_test_rows_and_labels_change_no_choice(task: str) -> None:
    test = toy_real(6, seed=2)
    other = toy_real(6, seed=7)
    other = dataclasses.replace(other, label=1 - other.label)
    one, two = (
        built("task", task).score([TOY], BUDGET, 0, toy_bench(test=split, head=head_for(task)))
        for split in (test, other)
    )
    assert len(one.trials) in (0, 3 * len(BUDGET.stops))  # 0: the task fixes its rates
    assert (one.chosen, one.trials) == (two.chosen, two.trials)


def test_a_modality_that_stops_early_learns_no_further() -> None:
    """The stopped tower and classifier are those of the snapshot; the others went on learning."""
    recipe = BUDGET.make_recipe(0.003)
    early = dataclasses.replace(recipe, stops={"frame": 0.5, "logmel": 1.0})
    trainer = toy_bench().trainer

    def weights(module: AudioVisual) -> dict[str, torch.Tensor]:
        return {name: values.clone() for name, values in module.state_dict().items()}

    def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], modality: str) -> bool:
        return all(
            torch.equal(values, other[name])
            for name, values in one.items()
            if f".{modality}." in name
        )

    half, end = trainer.train_with_snapshots(
        [TrainingJob(data=TOY, recipe=early, name=("s",))], weights, (0.5, 1.0)
    )[0]
    assert same(half, end, "frame") and not same(half, end, "logmel")
    (whole,) = trainer.train([TrainingJob(data=TOY, recipe=recipe, name=("s",))], weights)
    assert same(end, whole, "logmel") and not same(end, whole, "frame")


def test_epochs_are_chosen_with_the_rate() -> None:
    """A score that falls after half of the steps stops there; of equals the first stop wins."""
    bench = toy_bench()
    looks: dict[int, int] = {}

    def falling(module: AudioVisual, *_: object) -> dict[str, float]:
        looks[id(module)] = looks.get(id(module), 0) + 1
        return {"frame": -float(looks[id(module)]), "logmel": 0.0}

    budget = dataclasses.replace(BUDGET, stops=(1.0, 0.5))
    recipe, _ = evaluation.choose(TOY, budget, 0, bench.trainer, bench.val, falling)
    assert recipe.stops == {"frame": 0.5, "logmel": 1.0}


def test_turned_test_labels_turn_the_score() -> None:
    test = toy_real(6, seed=2)
    one, other = (
        recognised(test=split) for split in (test, dataclasses.replace(test, label=1 - test.label))
    )
    assert one.runs[0]["accuracy"]["a"] == pytest.approx(1 - other.runs[0]["accuracy"]["a"])


def test_each_modality_takes_its_best_trial_and_the_first_of_equals() -> None:
    trials = [{"score": {"frame": 0.5, "logmel": 0.1}}, {"score": {"frame": 0.5, "logmel": 0.9}}]
    assert evaluation.pick_best(trials) == {"frame": 0, "logmel": 1}


@pytest.mark.parametrize("spent", [0, 1, 3, 6, 9])
def test_every_row_has_the_same_number_of_trials(spent: int) -> None:
    budget = SETTINGS.protocols.budget
    rates = [recipe.rates["frame"] for recipe in budget.make_recipes(40, spent)]
    assert len(rates) == max(budget.trials - spent, 1)
    assert budget.lowest < min(rates) <= max(rates) < budget.highest


def test_the_published_protocol_has_the_published_steps() -> None:
    (recipe,) = SETTINGS.protocols.avdd.make_recipes(40, 0)
    assert recipe.steps == 60
    assert [recipe.schedule(epoch / 30) for epoch in (0, 10, 11, 20, 21, 29)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    assert (recipe.rates, set(recipe.head_rates.values())) == (
        {"frame": 1e-4, "logmel": 1e-3},
        {1e-3},
    )


def test_scores_repeat_and_count_their_runs() -> None:
    one, other = (RECOGNITION.score([TOY, TOY], BUDGET, 0, toy_bench()) for _ in range(2))
    assert one == other
    av = one.metrics["accuracy"]["av"]
    assert av["n"] == 4
    assert av["mean"] == pytest.approx(sum(run["accuracy"]["av"] for run in one.runs) / 4)
    assert av["low"] <= av["mean"] <= av["high"]


def test_the_number_of_threads_changes_no_score() -> None:
    bench = toy_bench()
    alone = dataclasses.replace(bench, trainer=dataclasses.replace(bench.trainer, threads=1))
    assert RECOGNITION.score([TOY], BUDGET, 0, bench) == RECOGNITION.score([TOY], BUDGET, 0, alone)


def test_confusions_and_right_windows_add_up_to_the_accuracy() -> None:
    scores = recognised()
    test, view = toy_real(6, seed=2), "av"
    confusion = torch.tensor(scores.details["confusion"][view])
    assert confusion.sum(1).tolist() == [2 * 6, 2 * 6]  # two runs
    right = [sum(run) for run in scores.details["right"][view]]
    assert [share / len(test) for share in right] == pytest.approx(
        [run["accuracy"][view] for run in scores.runs]
    )
    assert confusion.diagonal().sum().item() == sum(right)


def test_the_interval_resamples_source_clips() -> None:
    """Two rows of a clip are one observation: intervals over clips are wider than over rows."""
    right = torch.tensor([1.0, 1.0, 0.0, 0.0] * 3)
    paired = evaluation.summarise([(right.reshape(-1, 2).sum(1), torch.full((6,), 2.0))], 1, 2000)
    single = evaluation.summarise([(right, torch.ones(12))], 1, 2000)
    assert paired["high"] - paired["low"] > 1.2 * (single["high"] - single["low"])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=8))
def test_the_mean_is_of_windows_and_inside_its_interval_when_all_clips_agree(
    clips: list[tuple[int, int]],
) -> None:
    right, windows = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*clips, strict=True)
    )
    summary = evaluation.summarise([(right.minimum(windows), windows)], 1, 50)
    assert summary["mean"] == pytest.approx((right.minimum(windows).sum() / windows.sum()).item())
    certain = evaluation.summarise([(windows, windows)], 1, 50)
    assert (certain["low"], certain["mean"], certain["high"]) == (1, 1, 1)


def test_a_vote_counts_clips_and_accuracy_windows() -> None:
    """A clip of three windows, two of them right, and one of a single wrong window."""
    probabilities = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    label, clip = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 1])
    assert [
        x.tolist() for x in built("metric", "accuracy").per_clip(probabilities, label, clip)
    ] == [[2, 0], [3, 1]]
    assert [x.tolist() for x in built("metric", "vote").per_clip(probabilities, label, clip)] == [
        [1, 0],
        [1, 1],
    ]


def test_top5_is_the_five_best() -> None:
    probabilities = torch.arange(8.0).repeat(2, 1)
    sums, _ = built("metric", "top5").per_clip(
        probabilities, torch.tensor([3, 2]), torch.tensor([0, 1])
    )
    assert sums.tolist() == [1, 0]


def test_one_modality_has_one_view() -> None:
    real = toy_real()
    deaf = dataclasses.replace(real, rows={"frame": real.rows["frame"]})
    scores = RECOGNITION.score(
        [training.wrap_real_set(deaf, CPU)], BUDGET, 0, toy_bench(val=deaf, test=deaf)
    )
    assert set(scores.metrics["accuracy"]) == {"v"}


@pytest.mark.parametrize("head", ["concat", "sum", "attention"])
def test_a_head_that_joins_has_the_joint_view_and_one_choice(head: str) -> None:
    scores = recognised(head=head)
    assert set(scores.metrics["accuracy"]) == {"av"}
    assert len(set(scores.chosen["rates"].values())) == 1


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (
            "protocol: budget, network: convnet, head: ensemble, task: retrieval",
            "takes vectors, the head gives classes",
        ),
        (
            "protocol: budget, network: convnet, head: contrastive, task: dropout",
            "takes classes, the head gives vectors",
        ),
        (
            "protocol: avdd, network: convnet, head: ensemble, task: ranking",
            "the task tries learning rates, which that protocol fixes",
        ),
    ],
)
def test_measures_whose_parts_do_not_fit_are_refused_before_anything_is_done(
    measure: str, message: str
) -> None:
    headline = "{protocol: budget, network: convnet, head: ensemble, task: recognition}"
    with pytest.raises(ParamsError, match=message):
        EvaluationSetup.from_params(values(f"evaluate.run=[{headline}, {{{measure}}}]"))


def test_a_headline_is_recognition_and_has_accuracy() -> None:
    with pytest.raises(ParamsError, match="run begins with task retrieval"):
        EvaluationSetup.from_params(
            values(
                "evaluate.run="
                "[{protocol: budget, network: convnet, head: contrastive, task: retrieval}]"
            )
        )
    with pytest.raises(ParamsError, match="metrics are top5; accuracy is always one of them"):
        EvaluationSetup.from_params(values("evaluate.metrics=[top5]"))


def test_a_task_of_two_modalities_is_refused_where_there_is_one() -> None:
    real = toy_real()
    deaf = dataclasses.replace(real, rows={"frame": real.rows["frame"]})
    measure = Measurement(protocol="budget", network="convnet", head="concat", task="dropout")
    with pytest.raises(ParamsError, match="task dropout needs 2 modalities, the shards hold frame"):
        evaluation.refuse_single(measure, built("task", "dropout"), deaf)


def test_vectors_that_are_no_numbers_find_nothing() -> None:
    blank = torch.full((6, 3), float("nan"))
    rank, _ = _embeddings.ranks({"frame": blank, "logmel": blank}, [torch.arange(6)], "a->v")
    assert rank.tolist() == [6] * 6


@given(st.integers(2, 9), st.integers(0, 99))
def test_ranks_are_those_of_sorting(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    found = {m: torch.randn(count, 4, generator=generator) for m in ("logmel", "frame")}
    rank, _ = _embeddings.ranks(found, [torch.arange(count)], "a->v")
    order = (found["logmel"] @ found["frame"].T).argsort(1, descending=True)
    assert rank.tolist() == [order[i].tolist().index(i) + 1 for i in range(count)]


def test_shuffled_instances_have_another_partner_of_their_class() -> None:
    real = toy_real(per_class=2)
    index = torch.arange(len(real))
    mixed = _shuffle(
        training.wrap_real_set(real, CPU), "logmel", torch.Generator().manual_seed(0)
    ).take(index)
    whole = training.wrap_real_set(real, CPU).take(index)
    assert torch.equal(mixed["frame"], whole["frame"])
    assert torch.equal(mixed["logmel"], whole["logmel"][[1, 0, 3, 2]])


def test_sets_are_drawn_before_their_students() -> None:
    """One set always right, one always wrong: any number of students has an interval over both."""
    right, wrong, windows = torch.ones(40), torch.zeros(40), torch.ones(40)
    runs = [(right, windows)] * 5 + [(wrong, windows)] * 5
    summary = evaluation.summarise(runs, 5, 500)
    assert (summary["low"], summary["mean"], summary["high"]) == (0, 0.5, 1)


def test_clips_that_count_nothing_leave_the_interval_finite() -> None:
    few = torch.tensor([1.0] + [0.0] * 9)
    summary = evaluation.summarise([(few, few)], 1, 200)
    assert (summary["low"], summary["high"]) == (1, 1)


def test_other_classes_other_preprocessing_and_no_numbers_are_refused() -> None:
    real, synthetic = toy_real(), toy_synthetic()
    with pytest.raises(ArtifactError, match="holds the classes class0; class1, the shards x; y"):
        evaluation.refuse_other_data(
            synthetic, dataclasses.replace(real, classes=("x", "y")), "seed0.h5"
        )
    alone = dataclasses.replace(synthetic, rows={"frame": synthetic.rows["frame"]})
    with pytest.raises(
        ArtifactError,
        match=r"holds rows of \{'frame': \(1, 3, 8, 8\)\}, the shards .*'logmel': \(1, 8, 8\)",
    ):
        evaluation.refuse_other_data(alone, real, "seed0.h5")
    with pytest.raises(ArtifactError, match="preprocessing toy, the shards have other"):
        evaluation.refuse_other_data(
            synthetic, dataclasses.replace(real, preprocessing="other"), "seed0.h5"
        )
    spoilt = dataclasses.replace(
        synthetic, rows={**synthetic.rows, "frame": synthetic.rows["frame"] / 0}
    )
    with pytest.raises(ArtifactError, match=r"seed0.h5 holds frame rows with NaN"):
        evaluation.refuse_other_data(spoilt, real, "seed0.h5")


def test_a_split_that_lacks_a_class_is_refused() -> None:
    real = toy_real()
    with pytest.raises(ShardError, match="the test split holds no window of class1"):
        evaluation.refuse_absent_classes(
            dataclasses.replace(real, label=torch.zeros_like(real.label)), "test"
        )


def test_a_class_of_one_window_is_measured() -> None:
    test = toy_real(6, seed=2)
    rows = torch.tensor([0, 1, 2, 6])
    few = dataclasses.replace(
        test,
        rows={m: x[rows] for m, x in test.rows.items()},
        label=test.label[rows],
        keys=tuple(test.keys[i] for i in rows),
        clips=tuple(test.clips[i] for i in rows),
    )
    for task, head in (
        ("recognition", "ensemble"),
        ("retrieval", "contrastive"),
        ("shuffle", "contrastive"),
    ):
        scores = built("task", task).score([TOY], BUDGET, 0, toy_bench(test=few, head=head))
        assert next(iter(next(iter(scores.metrics.values())).values()))["n"] == 2


def test_the_plane_has_two_points_for_two_instances_and_repeats() -> None:
    bench = toy_bench()
    plane = PCAProjection.fit(bench.test, bench.trainer.network)
    points = plane.project(TOY)
    assert [label for _, _, label in points] == TOY.label.tolist()
    assert points == PCAProjection.fit(bench.test, bench.trainer.network).project(TOY)
    centre = torch.tensor(plane.project(training.wrap_real_set(bench.test, CPU)))[:, :2].mean(0)
    assert centre.abs().max() < 1e-3


def test_protocols_are_the_two_of_the_design() -> None:
    assert [field.name for field in dataclasses.fields(Protocols)] == ["avdd", "budget"]
    assert isinstance(SETTINGS.protocols.budget, BudgetProtocol)


@pytest.mark.parametrize(
    ("one", "other", "rho"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 1, 2], [1, 2, 3], 0.8660254),
        ([1, 1], [1, 2], None),
    ],
)
def test_spearman_takes_mean_ranks_of_ties(
    one: list[float], other: list[float], rho: float | None
) -> None:
    found = spearman(one, other)
    assert found == (None if rho is None else pytest.approx(rho))
