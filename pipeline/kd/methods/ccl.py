"""Compositional contrastive learning (CCL, Chen et al., CVPR 2021).

Student, teacher and their composition are contrasted by class. The student learns from its own
loss alone. A composer learns from the student's loss and from its own, in which the student is
detached. The "JSD" of the published code is half of the Jeffreys divergence; so it is here.
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
from pipeline.kd.method import KDMethod, Term, normalise_rows
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from pipeline.kd.method import KDBatch, Widths

TITLE = "Compositional contrastive learning (CCL)"
PAPER = "https://arxiv.org/abs/2104.10955"
# Keeps logarithms finite.
EPSILON = 1e-10


class Composer(nn.Module):
    """x_t + W [x_t ; x_v] + b with unit vectors in the brackets, then a classifier.

    A teacher of another width is projected to the student's first. That is our addition: the
    published widths are equal.

    Args:
        student: features of the student.
        teacher: features of the teacher.
        classes: number of classes.
    """

    def __init__(self, student: int, teacher: int, classes: int) -> None:
        super().__init__()
        self.projection = nn.Identity() if teacher == student else nn.Linear(teacher, student)
        self.residual = nn.Linear(2 * student, student)
        self.classifier = nn.Linear(student, classes)

    def forward(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compose student and teacher.

        Args:
            features: of the student, [n, D].
            vectors: of the teacher, [n, D_t].

        Returns:
            The teacher at the student's width [n, D], the composition [n, D], its logits [n, C].
        """
        teacher = self.projection(vectors)
        composed = teacher + self.residual(
            torch.cat([normalise_rows(teacher), normalise_rows(features)], 1)
        )
        return teacher, composed, self.classifier(composed)


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """CCL.

    Args:
        temperature: modality -> of its contrast; published: 0.5 for sound, 0.1 for pictures.
    """

    temperature: Mapping[str, PositiveFloat]

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build a composer per teacher."""
        parts = nn.ModuleDict(
            {
                m: Composer(widths.student, wide, widths.classes)
                for m, wide in widths.teachers.items()
            }
        )
        init_(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Average the student's part over teachers.

        That is the published lambda, 1 for one teacher and 0.5 for two.
        """
        student_losses, module_losses = [], []
        for modality, vectors in batch.teachers.items():
            temperature = pick(self.temperature, modality, "temperature")
            teacher, composed, logits = parts[modality](batch.features, vectors)
            student_losses.append(
                symmetric_contrastive_loss(batch.features, composed, batch.label, temperature)
                + symmetric_contrastive_loss(batch.features, teacher, batch.label, temperature)
                + jeffreys_divergence(batch.logits, logits) / 2
            )
            features, detached = batch.features.detach(), batch.logits.detach()
            teacher, composed, logits = parts[modality](features, vectors)
            module_losses.append(
                F.cross_entropy(logits, batch.target)
                + symmetric_contrastive_loss(features, composed, batch.label, temperature)
                + symmetric_contrastive_loss(composed, teacher, batch.label, temperature)
                + jeffreys_divergence(detached, logits) / 2
            )
        return Term(
            student_loss=torch.stack(student_losses).mean(),
            module_loss=torch.stack(module_losses).sum(),
        )


def symmetric_contrastive_loss(
    one: Tensor, other: Tensor, label: Tensor, temperature: float
) -> Tensor:
    """Sum the contrast of both directions.

    Args:
        one: [n, D].
        other: [n, D].
        label: int64 [n].
        temperature: of the similarity.
    """
    return contrastive_loss(one, other, label, temperature) + contrastive_loss(
        other, one, label, temperature
    )


def contrastive_loss(
    anchor: Tensor, candidates: Tensor, label: Tensor, temperature: float
) -> Tensor:
    """Return -mean log P over rows of the anchor's class, - mean log(1 - P) over the others.

    Args:
        anchor: [n, D].
        candidates: [n, D]; P is the softmax of their similarity to an anchor.
        label: int64 [n].
        temperature: of the similarity.

    Raises:
        CellError: the batch holds one class, and the loss would be NaN.
    """
    same = label[:, None] == label
    if same.all():
        raise CellError(
            "a batch holds one class, and contrast needs another; "
            "expected two or more, see teach.batch.classes"
        )
    p = (normalise_rows(anchor) @ normalise_rows(candidates).T / temperature).softmax(1)
    towards = ((p + EPSILON).log() * same).sum(1) / same.sum(1)
    away = ((1 - p + EPSILON).log() * ~same).sum(1) / (~same).sum(1)
    return -(towards + away).mean()


def jeffreys_divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return the KL divergence of two softmaxes in both directions, averaged over rows.

    Args:
        one: logits [n, C].
        other: logits [n, C].
    """
    p, q = F.log_softmax(one, 1), F.log_softmax(other, 1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean()
