"""Facts of metrics and tasks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core.params import from_values
from pipeline.evaluation import Evaluate, MetricText
from pipeline.training import instances
from stages.contract.subject import expect, expect_same, expect_untouched
from stages.contract.toys import CPU, build_rows, toy_bench, toy_real

if TYPE_CHECKING:
    from torch import Tensor

    from stages.contract.subject import Subject

CLASSES, WINDOWS, CLIPS = 8, 16, 8
LABEL = torch.arange(CLASSES).repeat_interleave(2)
CLIP = torch.arange(CLIPS).repeat_interleave(2)


def _guess(shift: int) -> Tensor:
    """Return probabilities [16, 8], each most certain of the class `shift` after the right one."""
    ahead = (torch.arange(CLASSES) - LABEL[:, None] - shift) % CLASSES
    return torch.softmax(-ahead.float(), 1)


def _mean(subject: Subject, probabilities: Tensor) -> float:
    sums, counts = subject.plugin.per_clip(probabilities, LABEL, CLIP)
    return float(sums.sum() / counts.sum())


def check_counts(subject: Subject) -> None:
    """Check that it gives a finite sum and a number for each clip."""
    for values in subject.plugin.per_clip(_guess(1), LABEL, CLIP):
        form = (str(values.dtype).removeprefix("torch."), tuple(values.shape))
        expect(form == ("float64", (CLIPS,)), f"{form}", f"float64 [{CLIPS}]")
        expect(bool(values.isfinite().all()), f"{values.tolist()}", "finite numbers")


def check_range(subject: Subject) -> None:
    """Check that perfect predictions score best, and that fractions lie in 0..1."""
    text = getattr(subject.plugin, "text", MetricText())
    best, *others = (_mean(subject, _guess(shift)) for shift in range(CLASSES))
    worst = max(others) if text.higher_is_better else min(others)
    better = best >= worst if text.higher_is_better else best <= worst
    expect(better, f"{best:.3g} for perfect predictions, {worst:.3g} for others", "the best")
    if text.percent:
        wrong = [value for value in (best, *others) if not 0 <= value <= 1]
        expect(not wrong, f"{wrong}", "0..1, or percent=False in its text")


def check_counts_twice(subject: Subject) -> None:
    """Check that it counts the same twice, and leaves the predictions as they are."""
    given = {"probabilities": _guess(1), "label": LABEL.clone(), "clip": CLIP.clone()}
    first = dict(enumerate(subject.plugin.per_clip(*given.values())))

    def act() -> None:
        again = dict(enumerate(subject.plugin.per_clip(*given.values())))
        expect_same({"0": first[0], "1": first[1]}, {"0": again[0], "1": again[1]}, "the same")

    expect_untouched(given, act, dict)


def score(subject: Subject) -> dict[str, Any]:
    """Return the scores of two students a set, trained on the toy for few steps, as JSON.

    Args:
        subject: the task.
    """
    budget = from_values({}, "params.yaml").build("evaluate", Evaluate).protocols.budget
    plugin, heads = subject.plugin, build_rows("head", subject.params)
    named = [row for row, head in heads.items() if head.gives == plugin.takes]
    expect(bool(named), f"takes {plugin.takes!r}", "the `gives` of a head")
    bench = toy_bench(heads[named[0]], build_rows("metric", subject.params))
    sets = [instances.wrap_real_set(toy_real(), CPU)]
    scores = plugin.score(sets, replace(budget, steps=4, trials=2), 0, bench)
    result: dict[str, Any] = scores.to_json()
    return result


def check_task(subject: Subject) -> None:
    """Check that it says what it works with, and that it scores two students of the toy."""
    for name in ("takes", "protocols", "modalities"):
        expect(hasattr(subject.plugin, name), f"no {name}", "takes, protocols and modalities")
    metrics = score(subject)["metrics"]
    expect(bool(metrics), "no metrics", "one or more")
    wrong = [name for name, views in metrics.items() if not _is_finite(views)]
    expect(not wrong, f"numbers of {', '.join(wrong)} that are not finite", "finite numbers")


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def check_task_twice(subject: Subject) -> None:
    """Check that it gives the same scores twice."""
    first, second = (json.dumps(score(subject)) for _ in range(2))
    expect(first == second, "other scores", "the same")


METRIC_FACTS = (check_counts, check_range, check_counts_twice)
TASK_FACTS = (check_task, check_task_twice)
