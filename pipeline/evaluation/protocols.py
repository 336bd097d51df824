"""How a student is trained on a set: as published, or with the same budget for every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.params import Fractions, NonNegativeFloat, PositiveFloat, PositiveInt
from pipeline.training.augment import Operation
from pipeline.training.loop import Recipe


@dataclass(frozen=True, kw_only=True)
class AvddProtocol:
    """The protocol as published: fixed rates and epochs, no choice, so a small set gets few optimiser steps.

    Args:
        rates: per modality's tower; `head_rate`: of the classifiers; `milestones`: epochs from which rates fall by `decay`.
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
                stops=dict.fromkeys(self.rates, 1.0),
                operations=self.augment,
            )
        ]

    def resize(self, recipe: Recipe, instances: int) -> Recipe:
        """The recipe for another number of instances: as many epochs, and so another number of steps."""
        return self.make_recipes(instances, 0)[0]


@dataclass(frozen=True, kw_only=True)
class BudgetProtocol:
    """The same number of optimiser steps and the same number of validation trials for every row.

    A trial's student is validated on its way, after each of the fractions `stops` of the steps, so that the number of epochs is
    chosen with the learning rate and costs no further step.

    Args:
        trials: validation runs that a row may spend; what the distiller spent on its step size is no longer there for the
            student's learning rate, which takes the rest on a logarithmic grid from `lowest` to `highest`.
        students: networks per trial; `stops`: fractions of the steps, the one that is taken where two are equally good first.
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
                f"lowest is {self.lowest}, above highest, {self.highest}; expected the ends of a range"
            )

    def make_recipes(self, instances: int, spent: int) -> list[Recipe]:
        """One recipe per learning rate that the budget still pays for; at least the middle one."""
        left = max(self.trials - spent, 1)
        span = self.highest / self.lowest
        return [self.make_recipe(self.lowest * span ** ((i + 0.5) / left)) for i in range(left)]

    def resize(self, recipe: Recipe, instances: int) -> Recipe:
        """The recipe for another number of instances: the same, for steps are what is budgeted."""
        return recipe

    def make_recipe(self, rate: float) -> Recipe:
        """The recipe with one learning rate everywhere."""
        return Recipe.build_uniform(
            rate, self.augment, steps=self.steps, batch=self.batch, weight_decay=self.weight_decay
        )


@dataclass(frozen=True, kw_only=True)
class Protocols:
    """The protocols by name; a row is scored under each."""

    avdd: AvddProtocol
    budget: BudgetProtocol
