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
from pipeline.core.params import PositiveFloat
from pipeline.core.plugins import pick
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import Term, normalise_rows
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from pipeline.kd.methods._base import KDBatch, Widths

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
        composed = teacher + self.residual(
            torch.cat([normalise_rows(teacher), normalise_rows(features)], 1)
        )
        return teacher, composed, self.classifier(composed)


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`temperature` of each teacher's contrast; published: 0.5 for sound, 0.1 for pictures."""

    temperature: Mapping[str, PositiveFloat]

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A composer per teacher."""
        parts = nn.ModuleDict(
            {
                m: Composer(widths.student, wide, widths.classes)
                for m, wide in widths.teachers.items()
            }
        )
        init_(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """The student's part is the mean over teachers, which is the published lambda of 1 for one and 0.5 for two."""
        student, own = [], []
        for modality, vectors in batch.teachers.items():
            temperature = pick(self.temperature, modality, "temperature")
            teacher, composed, logits = parts[modality](batch.features, vectors)
            student.append(
                symmetric_contrastive_loss(batch.features, composed, batch.label, temperature)
                + symmetric_contrastive_loss(batch.features, teacher, batch.label, temperature)
                + jeffreys_divergence(batch.logits, logits) / 2
            )
            features, still = batch.features.detach(), batch.logits.detach()
            teacher, composed, logits = parts[modality](features, vectors)
            own.append(
                F.cross_entropy(logits, batch.target)
                + symmetric_contrastive_loss(features, composed, batch.label, temperature)
                + symmetric_contrastive_loss(composed, teacher, batch.label, temperature)
                + jeffreys_divergence(still, logits) / 2
            )
        return Term(student=torch.stack(student).mean(), own=torch.stack(own).sum())


def symmetric_contrastive_loss(
    one: Tensor, other: Tensor, label: Tensor, temperature: float
) -> Tensor:
    """The contrast of either as anchors, summed."""
    return contrastive_loss(one, other, label, temperature) + contrastive_loss(
        other, one, label, temperature
    )


def contrastive_loss(
    anchor: Tensor, candidates: Tensor, label: Tensor, temperature: float
) -> Tensor:
    """Rows of a class find each other: -mean log P over an anchor's class, -mean log(1 - P) over the others; P is a softmax.

    Raises:
        CellError: the batch holds one class, and the loss would be NaN.
    """
    same = label[:, None] == label
    if same.all():
        raise CellError(
            "a batch holds one class, which contrast tells from nothing; expected two or more, see teach.batch.classes"
        )
    likely = (normalise_rows(anchor) @ normalise_rows(candidates).T / temperature).softmax(1)
    towards = ((likely + LEAST).log() * same).sum(1) / same.sum(1)
    away = ((1 - likely + LEAST).log() * ~same).sum(1) / (~same).sum(1)
    return -(towards + away).mean()


def jeffreys_divergence(one: Tensor, other: Tensor) -> Tensor:
    """KL of two softmaxes, both ways, a mean over rows [n, C]."""
    p, q = F.log_softmax(one, 1), F.log_softmax(other, 1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean()
