"""The contract of kd methods: a step's batch, the term of the loss, and the mean over teachers."""

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
    """A step's batch: outputs of the student, vectors of its frozen teachers.

    Args:
        features: of the student, before its classifier, [n, D].
        logits: of the student, [n, C].
        label: int64 [n].
        target: the label, or class probabilities [n, C].
        rows: numbers of the rows in the training set, int64 [n], the index of memory banks.
        teachers: modality -> vectors [n, D_t] of the feature store.
        probes: modality -> logits [n, C] of a linear probe on those vectors.
        epoch: passes over the training set before this step.
        generator: of the step's draws.
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
    """The sizes that a method's modules are built for.

    Args:
        student: features of the student.
        teachers: modality -> features of the teacher.
        classes: number of classes.
        label: of every training row, int64 [N].
    """

    student: int
    teachers: Mapping[str, int]
    classes: int
    label: Tensor


# Name of a buffer -> the rows to replace after the step, and their new values.
BufferUpdates = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Term:
    """The term that a method adds to a step's loss.

    Args:
        student_loss: weighted; its gradient reaches the student.
        module_loss: not weighted; its gradient reaches the method's modules alone.
        updates: of memory banks.
    """

    student_loss: Tensor
    module_loss: Tensor | None = None
    updates: BufferUpdates = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KDMethod(ABC):
    """A kd method; with several teachers its term is the mean over them.

    Args:
        weights: candidate weights of the term beside the student's cross-entropy; the validation
            split chooses.
    """

    weights: PositiveFloats

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build the modules and memory banks that are trained beside the student.

        Args:
            widths: their sizes.
            generator: draws their weights.

        Returns:
            One module per teacher, or none.
        """
        return nn.ModuleDict({})

    @abstractmethod
    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return the method's term; a pure function.

        Args:
            parts: the modules of `build`.
            batch: the step's batch.
        """


def average_over_teachers(batch: KDBatch, loss: Callable[[str, Tensor], Tensor]) -> Term:
    """Average a loss over the teachers.

    Args:
        batch: the step's batch.
        loss: modality and vectors [n, D_t] -> loss of that teacher.
    """
    losses = [loss(m, vectors) for m, vectors in batch.teachers.items()]
    return Term(student_loss=torch.stack(losses).mean())


def normalise_rows(x: Tensor) -> Tensor:
    """Scale each row to length 1.

    Args:
        x: [n, D].
    """
    return F.normalize(x, dim=1)
