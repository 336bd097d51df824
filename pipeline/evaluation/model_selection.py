"""The one selection rule: for each modality, the candidate with the best validation score; nothing here can see a test split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from pipeline.evaluation.protocols import AvddProtocol, BudgetProtocol
from pipeline.models.heads import modalities_of
from pipeline.training import instances, loop
from pipeline.training.students import StudentTrainer, TrainingJob

if TYPE_CHECKING:
    from pipeline.core.records import Normalisation, RealSet, SyntheticSet
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances
    from pipeline.training.loop import Recipe

# A student, a real split and the normalisation that it was trained with -> modality -> how good it is, higher is better.
Criterion = Callable[
    ["AudioVisual", "RealSet", "Mapping[str, Normalisation]", torch.device], dict[str, float]
]


def accuracy(
    module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device
) -> dict[str, float]:
    """For each modality the accuracy of the classifier that sees it."""
    probabilities = loop.predict(module, real, using, device)
    return {
        m: (p.argmax(1) == real.label).float().mean().item()
        for name, p in probabilities.items()
        for m in modalities_of(name)
    }


def choose(
    data: Instances,
    protocol: AvddProtocol | BudgetProtocol,
    spent: int,
    trainer: StudentTrainer,
    val: RealSet,
    criterion: Criterion,
) -> tuple[Recipe, list[dict[str, Any]]]:
    """The recipe that the validation split decides on, and the trials behind it; a single recipe is not tried.

    Args:
        spent: validation trials that were spent before, on the distiller's step size.
    """
    recipes = protocol.make_recipes(len(data.label), spent)
    if len(recipes) == 1:
        return recipes[0], []
    assert isinstance(protocol, BudgetProtocol), "only a budget has something to choose"
    scores = run_trials(
        [(data, recipe) for recipe in recipes],
        protocol.students,
        trainer,
        val,
        criterion,
        protocol.stops,
    )
    candidates = [recipe.stop_after(stop) for recipe in recipes for stop in protocol.stops]
    trials = [
        {"rates": dict(candidate.rates), "stops": dict(candidate.stops), "score": score}
        for candidate, score in zip(
            candidates, (score for by_stop in scores for score in by_stop), strict=True
        )
    ]
    return mix_recipes(candidates, pick_best(trials)), trials


def run_trials(
    candidates: Sequence[tuple[Instances, Recipe]],
    students: int,
    trainer: StudentTrainer,
    val: RealSet,
    criterion: Criterion,
    stops: Sequence[float] = (1.0,),
) -> list[list[dict[str, float]]]:
    """For each candidate, and each fraction of its steps, its validation score by modality: the mean over a few students."""
    jobs = [
        TrainingJob(data=data, recipe=recipe, name=("trial", 0, student))
        for data, recipe in candidates
        for student in range(students)
    ]
    using = candidates[0][0].normalisation
    scores = trainer.train_with_snapshots(
        jobs, lambda module: criterion(module, val, using, trainer.device), stops
    )
    groups = [
        zip(*scores[first : first + students], strict=True)
        for first in range(0, len(scores), students)
    ]
    return [
        [{m: sum(score[m] for score in own) / students for m in own[0]} for own in group]
        for group in groups
    ]


def pick_best(trials: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """For each modality the trial with the highest validation score, the first of equals.

    Towers share nothing, so under an ensemble each modality may choose its own trial (where a method's loss couples the
    modalities, as avdd's at unequal weights, the mixed choice is a heuristic, the same for every row); a head that sees both
    gives both the same score, and so the same trial.
    """
    return {
        m: max(range(len(trials)), key=lambda i: (trials[i]["score"][m], -i))
        for m in trials[0]["score"]
    }


def mix_recipes(recipes: Sequence[Recipe], picks: Mapping[str, int]) -> Recipe:
    """The recipe that takes each modality's rates and stop from the recipe picked for it."""
    rates = {m: recipes[i].rates[m] for m, i in picks.items()}
    head_rates = {m: recipes[i].head_rates[m] for m, i in picks.items()}
    return replace(
        recipes[0],
        rates=rates,
        head_rates=head_rates,
        stops={m: recipes[i].stops[m] for m, i in picks.items()},
    )


def choose_variants(
    variants: Sequence[Any],
    made: Sequence[SyntheticSet],
    budget: BudgetProtocol,
    trainer: StudentTrainer,
    val: RealSet,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Choose among a distiller's candidates by the set that each has made: validate with the middle learning rate, apply `best`.

    Returns:
        The pick of each modality, and the trials; nothing is tried if there is one candidate only.
    """
    if len(variants) == 1:
        return {}, []
    recipe = budget.make_recipe(math.sqrt(budget.lowest * budget.highest))
    sets = [instances.decode_synthetic_set(synthetic, trainer.device) for synthetic in made]
    scores = run_trials([(data, recipe) for data in sets], budget.students, trainer, val, accuracy)
    trials = [
        {**told, "score": score}
        for told, (score,) in zip(_find_differences(variants), scores, strict=True)
    ]
    return pick_best(trials), trials


def _find_differences(variants: Sequence[Any]) -> list[dict[str, Any]]:
    """Of each candidate the parameters that not all of them share."""
    given = [asdict(variant) for variant in variants]
    return [
        {name: value for name, value in own.items() if any(other[name] != value for other in given)}
        for own in given
    ]
