"""Evaluation: students trained from scratch on a set, tested on real windows; every choice is made on the validation split.

The head is AVDD's ensemble (Kushwaha et al., TMLR 2024): each modality has its own classifier and loss, the audio-visual
prediction is the mean of their softmaxes. So one training gives the sound's, the picture's and the joint score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pipeline import training
from pipeline.errors import ArtifactError, CellError
from pipeline.params import Count, Least, Names, Positive
from pipeline.records import Scores
from pipeline.streams import stream
from pipeline.training import Instances, Recipe

if TYPE_CHECKING:
    from pipeline.records import RealSet, SyntheticSet
    from pipeline.training import Network

# How a prediction is read, by the name that tables give it.
VIEWS = {"a": ("logmel",), "v": ("frame",), "av": ("logmel", "frame")}


class Metric(Protocol):
    """A metric plugin: its value is the mean over rows."""

    def per_row(self, probabilities: Tensor, label: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Avdd:
    """The protocol as published: fixed rates and epochs, no choice, so a small set gets few optimiser steps.

    Args:
        rates: per modality's tower; `head_rate`: of the classifiers; `milestones`: epochs from which rates fall by `decay`.
    """

    epochs: Count
    batch: Count
    rates: dict[str, Positive]
    head_rate: Positive
    weight_decay: Least
    milestones: tuple[int, ...]
    decay: float
    augment: dict[str, tuple[str, ...]]

    def recipes(self, instances: int, spent: int) -> list[Recipe]:
        """The one recipe there is, for a set of `instances`."""

        def schedule(done: float) -> float:
            epoch = math.floor(done * self.epochs + 1e-9)
            return math.prod(self.decay for milestone in self.milestones if epoch >= milestone)

        return [
            Recipe(
                steps=self.epochs * math.ceil(instances / self.batch),
                batch=self.batch,
                rates=self.rates,
                head_rates=dict.fromkeys(self.rates, self.head_rate),
                weight_decay=self.weight_decay,
                schedule=schedule,
                operations=self.augment,
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The same number of optimiser steps and the same number of validation trials for every row.

    Args:
        trials: validation runs that a row may spend; what the distiller spent on its step size is no longer there for the
            student's learning rate, which takes the rest on a logarithmic grid from `lowest` to `highest`.
        students: networks per trial.
    """

    steps: Count
    batch: Count
    trials: Count
    students: Count
    lowest: Positive
    highest: Positive
    weight_decay: Least
    augment: dict[str, tuple[str, ...]]

    def recipes(self, instances: int, spent: int) -> list[Recipe]:
        """One recipe per learning rate that the budget still pays for; at least the middle one."""
        left = max(self.trials - spent, 1)
        span = self.highest / self.lowest
        return [self.recipe(self.lowest * span ** ((i + 0.5) / left)) for i in range(left)]

    def recipe(self, rate: float) -> Recipe:
        """The recipe with one learning rate everywhere."""
        rates = dict.fromkeys(self.augment, rate)
        return Recipe(
            steps=self.steps,
            batch=self.batch,
            rates=rates,
            head_rates=rates,
            weight_decay=self.weight_decay,
            schedule=training.cosine,
            operations=self.augment,
        )


@dataclass(frozen=True, kw_only=True)
class Protocols:
    """The protocols by name; a row is scored under each."""

    avdd: Avdd
    budget: Budget


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Section `evaluate`.

    Args:
        network: the students'; `repeats`: students per set; `bootstrap`: resamples behind an interval.
        metrics: the metrics to report; `protocols`: those to run, with their parameters.
    """

    network: str
    repeats: Count
    bootstrap: Count
    metrics: Names
    run: Names
    protocols: Protocols


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Section `ceiling`: students trained on the whole training split, under the protocols of `evaluate`."""

    repeats: Count


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What scoring needs besides the sets: real splits, the student's network, metrics, and the machine."""

    val: RealSet
    test: RealSet
    network: Network
    metrics: Mapping[str, Metric]
    repeats: int
    bootstrap: int
    device: torch.device
    report: Callable[..., None]


def score(sets: Sequence[Instances], protocol: Avdd | Budget, spent: int, bench: Bench) -> Scores:
    """Choose on the validation split with the first set, then train `repeats` students on each set and test each once.

    Args:
        spent: validation trials that were spent before, on the distiller's step size.
    """
    recipes = protocol.recipes(len(sets[0].label), spent)
    trials = [] if len(recipes) == 1 else [validate(sets[0], recipe, protocol, bench) for recipe in recipes]
    recipe = mixed(recipes, best(trials)) if trials else recipes[0]
    runs, rows = [], []
    for number, data in enumerate(sets):
        for student in range(bench.repeats):
            probabilities = _student(data, recipe, bench.test, bench, ("student", number, student))
            values = _per_row(probabilities, bench.test.label, bench.metrics)
            rows.append(values)
            runs.append(
                {
                    "set": number,
                    "student": student,
                    **{m: {v: x.mean().item() for v, x in row.items()} for m, row in values.items()},
                }
            )
            bench.report(
                len(runs), len(sets) * bench.repeats, **{v: x.mean().item() for v, x in next(iter(values.values())).items()}
            )
    return Scores(
        metrics={m: {v: _summary([row[m][v] for row in rows], bench) for v in rows[0][m]} for m in bench.metrics},
        chosen={"rates": dict(recipe.rates), "steps": recipe.steps},
        trials=trials,
        runs=runs,
    )


def validate(data: Instances, recipe: Recipe, protocol: Any, bench: Bench) -> dict[str, Any]:
    """One trial: the mean validation accuracy of each modality's classifier over a few students."""
    students = [_student(data, recipe, bench.val, bench, ("trial", 0, student)) for student in range(protocol.students)]
    accuracy = {
        modality: sum((p[modality].argmax(1) == bench.val.label).float().mean().item() for p in students) / len(students)
        for modality in students[0]
    }
    return {"rates": dict(recipe.rates), "accuracy": accuracy}


def best(trials: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The one selection rule: for each modality the trial with the highest validation accuracy, the first of equals.

    Towers share nothing, so each modality may choose its own trial; where a method's loss couples the modalities (avdd at
    unequal weights) the mixed choice is a heuristic, the same for every row.
    """
    return {m: max(range(len(trials)), key=lambda i: (trials[i]["accuracy"][m], -i)) for m in trials[0]["accuracy"]}


def mixed(recipes: Sequence[Recipe], picks: Mapping[str, int]) -> Recipe:
    """The recipe that takes each modality's rates from the recipe picked for it."""
    base = recipes[0]
    chosen = {f.name: getattr(base, f.name) for f in fields(base)}
    chosen["rates"] = {m: recipes[i].rates[m] for m, i in picks.items()}
    chosen["head_rates"] = {m: recipes[i].head_rates[m] for m, i in picks.items()}
    return Recipe(**chosen)


def tuned(
    variants: Sequence[Any], distil: Callable[[Any], SyntheticSet], budget: Budget, bench: Bench
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Choose among a distiller's candidates: distil with each, validate with the middle learning rate, apply `best`.

    Returns:
        The pick of each modality, and the trials; nothing is tried if there is one candidate only.
    """
    if len(variants) == 1:
        return {}, []
    if len(variants) > budget.trials:
        raise CellError(f"{len(variants)} candidate step sizes are more than the {budget.trials} trials of the budget; give fewer")
    recipe = budget.recipe(math.sqrt(budget.lowest * budget.highest))
    trials = []
    for variant in variants:
        trial = validate(training.decoded(distil(variant)), recipe, budget, bench)
        trials.append({"step_sizes": {m: rates[0] for m, rates in variant.rates.items()}, **trial})
    return best(trials), trials


def refuse_other_data(synthetic: SyntheticSet, real: RealSet, name: str) -> None:
    """An artifact of other classes or other preprocessing than the shards is an ArtifactError naming both."""
    if synthetic.classes != real.classes:
        raise ArtifactError(
            f"{name} holds the classes {_some(synthetic.classes)}, the shards {_some(real.classes)}; "
            "take the shards it was made from"
        )
    made = str(synthetic.provenance.get("preprocessing", ""))
    if made != real.preprocessing:
        raise ArtifactError(
            f"{name} was made from samples with preprocessing {made[:12]}, the shards have {real.preprocessing[:12]}; "
            "decode with the parameters that the artifact was made with"
        )


def _student(data: Instances, recipe: Recipe, real: RealSet, bench: Bench, name: tuple[str, int, int]) -> dict[str, Tensor]:
    """Probabilities on a real split by one student; its weights and batches are named by its counters, the same in every row."""
    module = bench.network.build(data.shapes, data.classes, stream(*name, "weights")).to(bench.device)
    training.fit(module, data, recipe, stream(*name, "batches"), bench.device)
    return training.predict(module, real, data.normalisation, bench.device)


def _per_row(probabilities: Mapping[str, Tensor], label: Tensor, metrics: Mapping[str, Metric]) -> dict[str, dict[str, Tensor]]:
    """metric -> view -> value of each test row."""
    views = {view: parts for view, parts in VIEWS.items() if all(m in probabilities for m in parts)}
    joint = {view: torch.stack([probabilities[m] for m in parts]).mean(0) for view, parts in views.items()}
    return {name: {view: metric.per_row(p, label) for view, p in joint.items()} for name, metric in metrics.items()}


def _summary(rows: Sequence[Tensor], bench: Bench) -> dict[str, float]:
    """Mean and population std over runs; a 95 % interval from resampling both the test split's source clips and the runs."""
    values = torch.stack(list(rows)).double()  # runs x test rows
    clips = sorted(set(bench.test.clips))
    number = {clip: i for i, clip in enumerate(clips)}
    place = torch.tensor([number[clip] for clip in bench.test.clips])
    sums = torch.zeros(len(values), len(clips), dtype=torch.float64).index_add_(1, place, values)
    counts = torch.bincount(place, minlength=len(clips)).double()
    generator = stream("bootstrap", len(values), len(clips))
    clip_weights = _resampled(bench.bootstrap, len(clips), generator)
    run_weights = _resampled(bench.bootstrap, len(values), generator)
    means = ((run_weights @ sums) * clip_weights).sum(1) / (len(values) * (clip_weights @ counts))
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    per_run = values.mean(1)
    return {
        "mean": per_run.mean().item(),
        "std": per_run.std(correction=0).item(),
        "n": len(values),
        "low": low,
        "high": high,
    }


def _resampled(times: int, count: int, generator: torch.Generator) -> Tensor:
    """[times, count] of how often each of `count` things is drawn when `count` are drawn with replacement."""
    draws = torch.randint(count, (times, count), generator=generator)
    return torch.zeros(times, count, dtype=torch.float64).scatter_add_(1, draws, torch.ones(times, count, dtype=torch.float64))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
