"""The one selection rule: for each modality, the candidate with the best validation score.

No function here sees a test split.
"""

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

# (student, real split, normalisation of its training data, device) -> modality -> score; higher is
# better.
Criterion = Callable[
    ["AudioVisual", "RealSet", "Mapping[str, Normalisation]", torch.device], dict[str, float]
]


def accuracy(
    module: AudioVisual,
    real: RealSet,
    normalisation: Mapping[str, Normalisation],
    device: torch.device,
) -> dict[str, float]:
    """Return, for each modality, the accuracy of the classifier that sees it.

    Args:
        module: a student.
        real: a real split.
        normalisation: of the student's training data.
        device: where it runs.
    """
    probabilities = loop.predict(module, real, normalisation, device)
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
    """Choose a recipe on the validation split; a single recipe is not tried.

    Args:
        data: the instances to train on.
        protocol: gives the candidates.
        spent: validation trials that the choice of the distiller's step size took.
        trainer: trains the students.
        val: the validation split.
        criterion: the score that decides.

    Returns:
        The recipe, and the trials behind it.
    """
    recipes = protocol.make_recipes(len(data.label), spent)
    if len(recipes) == 1:
        return recipes[0], []
    assert isinstance(protocol, BudgetProtocol), "only a budget has something to choose"
    jobs, stops = [(data, recipe) for recipe in recipes], protocol.stops
    scores = run_trials(jobs, protocol.students, trainer, val, criterion, stops)
    candidates = [recipe.stop_after(stop) for recipe in recipes for stop in stops]
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
    """Train some students of each candidate and return their mean validation scores.

    Args:
        candidates: instances and recipe of each.
        students: per candidate.
        trainer: trains the students.
        val: the validation split.
        criterion: the score.
        stops: fractions of the steps after which a student is scored.

    Returns:
        candidate -> stop -> modality -> score.
    """
    jobs = [
        TrainingJob(data=data, recipe=recipe, name=("trial", 0, student))
        for data, recipe in candidates
        for student in range(students)
    ]
    normalisation = candidates[0][0].normalisation
    scores = trainer.train_with_snapshots(
        jobs, lambda module: criterion(module, val, normalisation, trainer.device), stops
    )
    groups = [
        zip(*scores[first : first + students], strict=True)
        for first in range(0, len(scores), students)
    ]
    return [
        [{m: sum(score[m] for score in each) / students for m in each[0]} for each in group]
        for group in groups
    ]


def pick_best(trials: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return, for each modality, the trial with the highest score; the first of equal ones.

    Towers share nothing, so under an ensemble each modality may choose its own trial. Where a
    method's loss couples the modalities, as avdd's at unequal weights, that is a heuristic, the
    same for every row. A head that sees both modalities gives both the same score, and so the same
    trial.

    Args:
        trials: each has `score`: modality -> number.
    """
    return {
        m: max(range(len(trials)), key=lambda i: (trials[i]["score"][m], -i))
        for m in trials[0]["score"]
    }


def mix_recipes(recipes: Sequence[Recipe], picks: Mapping[str, int]) -> Recipe:
    """Return a recipe with each modality's rates and stop from the recipe picked for it.

    Args:
        recipes: the candidates.
        picks: modality -> number of its recipe.
    """
    return replace(
        recipes[0],
        rates={m: recipes[i].rates[m] for m, i in picks.items()},
        head_rates={m: recipes[i].head_rates[m] for m, i in picks.items()},
        stops={m: recipes[i].stops[m] for m, i in picks.items()},
    )


def choose_variants(
    variants: Sequence[Any],
    sets: Sequence[SyntheticSet],
    budget: BudgetProtocol,
    trainer: StudentTrainer,
    val: RealSet,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Choose among a distiller's candidates by the sets that they made.

    Students train with the middle learning rate. A single candidate is not tried.

    Args:
        variants: the candidates, one distiller each.
        sets: the set of each candidate.
        budget: how students are trained.
        trainer: trains the students.
        val: the validation split.

    Returns:
        modality -> number of its candidate, and the trials.
    """
    if len(variants) == 1:
        return {}, []
    recipe = budget.make_recipe(math.sqrt(budget.lowest * budget.highest))
    data = [instances.decode_synthetic_set(synthetic, trainer.device) for synthetic in sets]
    jobs = [(each, recipe) for each in data]
    scores = run_trials(jobs, budget.students, trainer, val, accuracy)
    trials = [
        {**params, "score": score}
        for params, (score,) in zip(_find_differences(variants), scores, strict=True)
    ]
    return pick_best(trials), trials


def _find_differences(variants: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the parameters of each candidate that are not the same in all."""
    params = [asdict(variant) for variant in variants]
    return [
        {
            name: value
            for name, value in each.items()
            if any(other[name] != value for other in params)
        }
        for each in params
    ]
