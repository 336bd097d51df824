"""Protocols: how a student is trained on a set, as published or with one budget for all rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.params import Fractions, NonNegativeFloat, PositiveFloat, PositiveInt
from pipeline.training.augment import Operation
from pipeline.training.loop import Recipe


@dataclass(frozen=True, kw_only=True)
class AvddProtocol:
    """The published protocol of AVDD: fixed rates and epochs, and no choice.

    A small set therefore gets few optimiser steps.

    Args:
        epochs: passes over the set.
        batch: instances per step.
        rates: modality -> learning rate of its tower.
        head_rate: learning rate of the classifiers.
        weight_decay: of the optimiser.
        milestones: epochs from which rates are multiplied by `decay`.
        decay: that factor.
        augment: modality -> augmentations.
    """

    epochs: PositiveInt
    batch: PositiveInt
    rates: dict[str, PositiveFloat]
    head_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    milestones: tuple[int, ...]
    decay: float
    augment: dict[str, tuple[Operation, ...]]

    about: ClassVar[str] = (
        "As published (AVDD, TMLR 2024): every student is trained for {epochs} epochs at fixed "
        "learning rates. A smaller set therefore gets fewer optimiser steps, and rows differ in "
        "training time as well as in data."
    )

    def make_recipes(self, instances: int, spent: int) -> list[Recipe]:
        """Return the only recipe.

        Args:
            instances: training instances of the set.
            spent: not used.
        """

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
                stops=dict.fromkeys(self.rates, 1.0),
                operations=self.augment,
            )
        ]

    def resize(self, recipe: Recipe, instances: int) -> Recipe:
        """Return the recipe for another number of instances: as many epochs.

        Args:
            recipe: the recipe for the whole set.
            instances: the other number.
        """
        return self.make_recipes(instances, 0)[0]


@dataclass(frozen=True, kw_only=True)
class BudgetProtocol:
    """The same number of optimiser steps and the same number of validation trials for every row.

    The student of a trial is validated after each of the fractions `stops` of the steps. So the
    number of steps is chosen with the learning rate, at no further cost.

    Args:
        steps: optimiser steps of a student.
        batch: instances per step.
        trials: validation trials of a row. The choice of a step size uses some; the others try
            learning rates of the student.
        students: networks per trial.
        stops: fractions of the steps; of equally good ones, the first is taken.
        lowest: end of the logarithmic grid of learning rates.
        highest: other end of the grid.
        weight_decay: of the optimiser.
        augment: modality -> augmentations.
    """

    steps: PositiveInt
    batch: PositiveInt
    trials: PositiveInt
    students: PositiveInt
    stops: Fractions
    lowest: PositiveFloat
    highest: PositiveFloat
    weight_decay: NonNegativeFloat
    augment: dict[str, tuple[Operation, ...]]

    about: ClassVar[str] = (
        "Every row gets the same {steps} optimiser steps and the same number of validation "
        "trials, {trials}. A method that spends trials on its own step size has fewer left for "
        "the learning rate of its students. Where training stops, at one of the fractions "
        "{stops} of the steps, is chosen with the learning rate. All choices are made on the "
        "validation split, never on test."
    )

    def __post_init__(self) -> None:
        if self.lowest > self.highest:
            raise ValueError(
                f"lowest is {self.lowest}, above highest, {self.highest}; "
                "expected the ends of a range"
            )

    def make_recipes(self, instances: int, spent: int) -> list[Recipe]:
        """Return one recipe per trial that is left; at least one, of the middle learning rate.

        Args:
            instances: not used.
            spent: trials that the choice of the distiller's step size took.
        """
        left = max(self.trials - spent, 1)
        span = self.highest / self.lowest
        return [self.make_recipe(self.lowest * span ** ((i + 0.5) / left)) for i in range(left)]

    def resize(self, recipe: Recipe, instances: int) -> Recipe:
        """Return the recipe itself: the budget is in steps.

        Args:
            recipe: the recipe.
            instances: not used.
        """
        return recipe

    def make_recipe(self, rate: float) -> Recipe:
        """Return the recipe with one learning rate for all towers and classifiers.

        Args:
            rate: the learning rate.
        """
        return Recipe.build_uniform(
            rate, self.augment, steps=self.steps, batch=self.batch, weight_decay=self.weight_decay
        )


@dataclass(frozen=True, kw_only=True)
class Protocols:
    """The protocols by name; a row is scored under each that evaluate.run names.

    Args:
        avdd: the published protocol.
        budget: one budget for all rows.
    """

    avdd: AvddProtocol
    budget: BudgetProtocol
