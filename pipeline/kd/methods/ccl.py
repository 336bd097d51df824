"""Compositional contrastive learning (Chen et al., CVPR 2021): student, teacher and their composition meet by class.

The student learns from its own loss alone; a composer from both, the student's and its own, in which the student stands still.
The "JSD" of its code is half of Jeffreys' divergence, and so it is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import CellError
from pipeline.core.params import Positive
from pipeline.core.plugins import pick
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import Term, unit
from pipeline.models.initialisation import draw

if TYPE_CHECKING:
    from pipeline.kd.methods._base import Batch, Widths

# Keeps logarithms finite.
LEAST = 1e-10


class Composer(nn.Module):
    """x_t + W [x_t ; x_v] + b, the two of length 1 in the brackets, and a classifier behind.

    A teacher whose width is not the student's is projected to it first, which is ours: the published widths are equal.
    """

    def __init__(self, student: int, teacher: int, classes: int) -> None:
        super().__init__()
        self.projection = nn.Identity() if teacher == student else nn.Linear(teacher, student)
        self.residual = nn.Linear(2 * student, student)
        self.classifier = nn.Linear(student, classes)

    def forward(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Student [n, D] and teacher [n, D_t] -> the teacher at the student's width, the composed [n, D], its logits [n, C]."""
        teacher = self.projection(vectors)
        composed = teacher + self.residual(torch.cat([unit(teacher), unit(features)], 1))
        return teacher, composed, self.classifier(composed)


@dataclass(frozen=True, kw_only=True)
class Method(_method.Method):
    """`temperature` of each teacher's contrast; published: 0.5 for sound, 0.1 for pictures."""

    temperature: Mapping[str, Positive]

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A composer per teacher."""
        parts = nn.ModuleDict(
            {
                m: Composer(widths.student, wide, widths.classes)
                for m, wide in widths.teachers.items()
            }
        )
        draw(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: Batch) -> Term:
        """The student's part is the mean over teachers, which is the published lambda of 1 for one and 0.5 for two."""
        student, own = [], []
        for modality, vectors in batch.teachers.items():
            temperature = pick(self.temperature, modality, "temperature")
            teacher, composed, logits = parts[modality](batch.features, vectors)
            student.append(
                both(batch.features, composed, batch.label, temperature)
                + both(batch.features, teacher, batch.label, temperature)
                + jeffreys(batch.logits, logits) / 2
            )
            features, still = batch.features.detach(), batch.logits.detach()
            teacher, composed, logits = parts[modality](features, vectors)
            own.append(
                F.cross_entropy(logits, batch.target)
                + both(features, composed, batch.label, temperature)
                + both(composed, teacher, batch.label, temperature)
                + jeffreys(still, logits) / 2
            )
        return Term(student=torch.stack(student).mean(), own=torch.stack(own).sum())


def both(one: Tensor, other: Tensor, label: Tensor, temperature: float) -> Tensor:
    """The contrast of either as anchors, summed."""
    return contrast(one, other, label, temperature) + contrast(other, one, label, temperature)


def contrast(anchor: Tensor, candidates: Tensor, label: Tensor, temperature: float) -> Tensor:
    """Rows of a class find each other: -mean log P over an anchor's class, -mean log(1 - P) over the others; P is a softmax.

    Raises:
        CellError: the batch holds one class, and the loss would be NaN.
    """
    same = label[:, None] == label
    if same.all():
        raise CellError(
            "a batch holds one class, which contrast tells from nothing; expected two or more, see teach.batch.classes"
        )
    likely = (unit(anchor) @ unit(candidates).T / temperature).softmax(1)
    towards = ((likely + LEAST).log() * same).sum(1) / same.sum(1)
    away = ((1 - likely + LEAST).log() * ~same).sum(1) / (~same).sum(1)
    return -(towards + away).mean()


def jeffreys(one: Tensor, other: Tensor) -> Tensor:
    """KL of two softmaxes, both ways, a mean over rows [n, C]."""
    p, q = F.log_softmax(one, 1), F.log_softmax(other, 1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean()
