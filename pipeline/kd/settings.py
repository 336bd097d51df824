"""Sections `students` and `teach` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.core.errors import ParamsError
from pipeline.core.params import (
    AtLeastTwo,
    Fractions,
    Names,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PositiveInts,
    UnitInterval,
)
from pipeline.training.augment import Operation


@dataclass(frozen=True, kw_only=True)
class StudentSettings:
    """A section of `students`.

    Args:
        reads: samples of the shards, or vectors of the feature store.
        modality: of the samples or vectors.
        network: a section of `networks`.
        augment: augmentations of its batches, one drawn per batch.
    """

    reads: Literal["samples", "vectors"]
    modality: str
    network: str
    augment: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class BalancedBatch:
    """A class-balanced batch.

    Args:
        classes: classes per batch, or all if there are fewer.
        samples: samples per class; a class with fewer repeats some.
    """

    classes: AtLeastTwo
    samples: AtLeastTwo


@dataclass(frozen=True, kw_only=True)
class TeachSettings:
    """Section `teach`, the same for every method.

    Args:
        student: a section of `students`.
        teachers: modalities of the feature tables.
        steps: optimiser steps.
        batch: classes and samples per step.
        trials: validation runs of a method, shared by its candidate weights and the learning rates.
        stops: fractions of the steps to choose from; of equal scores the first one wins.
        lowest: lowest learning rate of the logarithmic grid.
        highest: highest learning rate of the grid.
        momentum: of SGD.
        weight_decay: of SGD.
        recalls: the k of each R@k.
        bootstrap: resamples behind an interval.
    """

    student: str
    teachers: Names
    steps: PositiveInt
    batch: BalancedBatch
    trials: PositiveInt
    stops: Fractions
    lowest: PositiveFloat
    highest: PositiveFloat
    momentum: UnitInterval
    weight_decay: NonNegativeFloat
    recalls: PositiveInts
    bootstrap: PositiveInt

    def __post_init__(self) -> None:
        if self.lowest > self.highest:
            raise ValueError(
                f"lowest is {self.lowest}, above highest, {self.highest}; "
                "expected the ends of a range"
            )
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError(f"teachers are {', '.join(self.teachers)}; expected each of them once")


def refuse_own_teacher(settings: TeachSettings, student: StudentSettings) -> None:
    """Raise a ParamsError if a teacher's vectors are those that the student reads.

    Args:
        settings: section `teach`.
        student: the section that it names.
    """
    if student.reads == "vectors" and student.modality in settings.teachers:
        raise ParamsError(
            f"teach.student {settings.student} reads the {student.modality} vectors, "
            "which teach.teachers names too; name teachers of another modality"
        )
