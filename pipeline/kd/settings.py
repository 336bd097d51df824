"""TODO from pipeline/teaching/_course.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class StudentSettings:
    """A section of `students`.

    Args:
        reads: samples of the shards, or vectors of the feature store; `modality`: of those.
        network: by name; `augment`: what is done to its batches, one operation drawn for each.
    """

    reads: Literal["samples", "vectors"]
    modality: str
    network: str
    augment: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class BalancedBatch:
    """A batch holds so many classes, all if there are fewer, and so many samples of each, some twice if there are fewer."""

    classes: AtLeastTwo
    samples: AtLeastTwo


@dataclass(frozen=True, kw_only=True)
class TeachSettings:
    """Section `teach`: the same for every method.

    Args:
        student: a section of `students`; `teachers`: modalities of the feature tables.
        trials: validation runs of a method; its candidate weights and the learning rates, on a logarithmic grid from `lowest` to
            `highest`, share them. `stops`: fractions of the steps, the one that is taken where two are equally good first.
        recalls: the k of each R@k; `bootstrap`: resamples behind an interval.
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
                f"lowest is {self.lowest}, above highest, {self.highest}; expected the ends of a range"
            )
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError(f"teachers are {', '.join(self.teachers)}; expected each of them once")


def refuse_own_teacher(settings: TeachSettings, student: StudentSettings) -> None:
    """Vectors that a student reads have nothing to teach it: a ParamsError."""
    if student.reads == "vectors" and student.modality in settings.teachers:
        told = f"teach.student {settings.student} reads the {student.modality} vectors, which teach.teachers names too"
        raise ParamsError(f"{told}; name teachers of another modality")
