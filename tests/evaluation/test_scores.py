"""Scores are found again while their inputs, parameters and the code stand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from pipeline.core.scores import Scores, find_plain_metrics, format_score
from pipeline.evaluation import MetricText, TaskText
from pipeline.evaluation import scoring as _scores
from pipeline.evaluation.setup import EvaluationSetup
from pipeline.training import instances as training
from tests.toys.plugins import NETWORKS, built, toy_bench
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real

SUMMARY = {"mean": 0.5, "std": 0.0, "n": 1, "low": 0.4, "high": 0.6}


@dataclasses.dataclass(frozen=True)
class Counting:
    """A task that is cheap and remembers how often it was done."""

    done: ClassVar[list[int]] = []

    def score(self, *_: Any) -> Scores:
        self.done.append(1)
        return Scores(metrics={"accuracy": {"av": SUMMARY}}, chosen={}, trials=[], runs=[])


@pytest.fixture
def means() -> EvaluationSetup:
    Counting.done.clear()
    run = "[{protocol: budget, network: convnet, head: ensemble, task: recognition}]"
    means = EvaluationSetup.from_params(values(f"evaluate.run={run}"))
    return dataclasses.replace(means, networks=NETWORKS, tasks={"recognition": Counting()})


def measured(means: EvaluationSetup, kept: Path, digest: str = "a", **changes: Any) -> int:
    """How often the task has been done after one more call."""
    _, seconds = _scores.score_sets(
        [training.wrap_real_set(toy_real(), CPU)], [digest], 0, means, toy_bench(**changes), kept
    )
    assert seconds >= 0
    return len(Counting.done)


def test_the_same_is_measured_once(means: EvaluationSetup, tmp_path: Path) -> None:
    assert [measured(means, tmp_path) for _ in range(3)] == [1, 1, 1]


def test_another_set_split_repeat_or_value_is_measured(
    means: EvaluationSetup, tmp_path: Path
) -> None:
    assert measured(means, tmp_path) == 1
    assert measured(means, tmp_path, digest="b") == 2
    assert measured(means, tmp_path, test=toy_real(6, seed=9)) == 3
    assert measured(means, tmp_path, repeats=3) == 4
    budget = dataclasses.replace(means.settings.protocols.budget, steps=99)
    protocols = dataclasses.replace(means.settings.protocols, budget=budget)
    assert (
        measured(
            dataclasses.replace(
                means, settings=dataclasses.replace(means.settings, protocols=protocols)
            ),
            tmp_path,
        )
        == 5
    )


def test_another_network_or_head_does_not_measure_the_first_anew(
    means: EvaluationSetup, tmp_path: Path
) -> None:
    assert measured(means, tmp_path) == 1
    more = dataclasses.replace(
        means,
        networks={**NETWORKS, "vit": built("network", "vit")},
        heads={**means.heads, "other": 1},
    )
    assert measured(more, tmp_path) == 1


def test_other_code_measures_anew(
    means: EvaluationSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured(means, tmp_path) == 1
    monkeypatch.setattr("pipeline.core.code.digest_code", lambda *_: "changed")
    assert measured(means, tmp_path) == 2


def test_other_metrics_of_the_same_number_measure_anew(
    means: EvaluationSetup, tmp_path: Path
) -> None:
    for count, names in enumerate((("accuracy", "top5"), ("accuracy", "vote")), start=1):
        chosen = dataclasses.replace(means, metrics={name: built("metric", name) for name in names})
        assert measured(chosen, tmp_path) == count


def test_files_without_a_list_of_plain_metrics_still_read() -> None:
    metrics = {"R@1": {"a->v": SUMMARY}, "median rank": {"a->v": {**SUMMARY, "mean": 7.5}}}
    assert find_plain_metrics({"metrics": metrics}) == {"median rank"}
    assert find_plain_metrics({"metrics": metrics, "plain": ["R@1"]}) == {"R@1"}


def test_a_task_and_a_metric_say_which_scores_are_plain_numbers(
    means: EvaluationSetup, tmp_path: Path
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Juggling(Counting):
        text: ClassVar[TaskText] = TaskText(metrics={"accuracy": MetricText(percent=False)})

    for task, plain in ((Counting(), None), (Juggling(), ["accuracy"])):
        setup = dataclasses.replace(means, tasks={"recognition": task})
        sets = [training.wrap_real_set(toy_real(), CPU)]
        kept = tmp_path / str(plain)
        (entry,), _ = _scores.score_sets(sets, ["a"], 0, setup, toy_bench(), kept)
        assert entry.get("plain") == plain
    assert format_score(SUMMARY, plain=True) == "0.5 ± 0.0 [0.4, 0.6]"
    assert format_score(SUMMARY) == "50.0 ± 0.0 [40.0, 60.0]"


def test_instances_without_contrast_are_counted() -> None:
    data = training.wrap_real_set(toy_real(), CPU)
    flat = {m: rows.clone() for m, rows in data.take(torch.arange(len(data.label))).items()}
    flat["logmel"][:2] = -3.0
    flat["frame"][0] = torch.tensor([0.1, -2.0, 0.5]).reshape(3, 1, 1)
    blank = dataclasses.replace(data, take=lambda index: {m: x[index] for m, x in flat.items()})
    count = len(data.label)
    assert _scores.count_blank({"good.h5": data, "bad.h5": blank}) == {
        "bad.h5": {"frame": [1, count], "logmel": [2, count]}
    }
