"""What methods share: what they are given of a step, what they give back, and the mean over teachers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.params import PositiveFloats

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class KDBatch:
    """A step's rows, as the student and its frozen teachers see them.

    Args:
        features: [n, D] of the student, before its classifier; `logits`: [n, C] behind it.
        label: int64 [n]; `target`: the same, or class probabilities [n, C] in its place.
        rows: int64 [n], the rows' numbers in the training set, which memory banks go by.
        teachers: modality -> [n, D_t] from the feature store; `probes`: modality -> logits [n, C] of a linear probe on them.
        epoch: how often the training set was seen before this step.
        generator: what is drawn in this step is drawn from it.
    """

    features: Tensor
    logits: Tensor
    label: Tensor
    target: Tensor
    rows: Tensor
    teachers: Mapping[str, Tensor]
    probes: Mapping[str, Tensor]
    epoch: int
    generator: torch.Generator


@dataclass(frozen=True, kw_only=True)
class Widths:
    """What a method's own modules are built for: numbers of features, and the label of every training row, int64 [N]."""

    student: int
    teachers: Mapping[str, int]
    classes: int
    label: Tensor


# Name of a buffer -> the rows of it that are replaced after the step, and by what.
Kept = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Term:
    """What a method adds to a step's loss.

    Args:
        student: is weighted, and reaches the student; `own`: is not, and reaches the method's own modules alone.
        kept: what memory banks remember.
    """

    student: Tensor
    own: Tensor | None = None
    kept: Kept = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KDMethod(ABC):
    """A method; with several teachers its term is the mean over them.

    Args:
        weights: candidates for the weight of its term beside the student's cross-entropy; the validation split chooses.
    """

    weights: PositiveFloats

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Modules that are trained beside the student, and memory banks: one module per teacher, or none."""
        return nn.ModuleDict({})

    @abstractmethod
    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """The method's term; a pure function, each method has its own."""


def average_over_teachers(batch: KDBatch, between: Callable[[str, Tensor], Tensor]) -> Term:
    """The mean over teachers of `between(modality, vectors)`."""
    return Term(
        student=torch.stack([between(m, vectors) for m, vectors in batch.teachers.items()]).mean()
    )


def normalise_rows(x: Tensor) -> Tensor:
    """[n, D] -> the same, each row of length 1."""
    return F.normalize(x, dim=1)
