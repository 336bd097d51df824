"""Relational knowledge distillation (Park et al., CVPR 2019): match distances and angles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core.params import NonNegativeFloat
from pipeline.kd.method import KDMethod, average_over_teachers
from pipeline.kd.methods._similarity import squared_distances

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term

TITLE = "Relational knowledge distillation (RKD)"
PAPER = "https://arxiv.org/abs/1904.05068"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Relational knowledge distillation; memory grows with the cube of the batch.

    Args:
        distance: weight of the pairs' distances; published: 25.
        angle: weight of the triplets' angles; published: 50.
    """

    distance: NonNegativeFloat
    angle: NonNegativeFloat

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return smooth L1 between the distances of student and teacher, and between the angles."""

        def teacher_loss(_: str, vectors: Tensor) -> Tensor:
            pairs = F.smooth_l1_loss(
                relative_distances(batch.features), relative_distances(vectors)
            )
            return self.distance * pairs + self.angle * F.smooth_l1_loss(
                angles(batch.features), angles(vectors)
            )

        return average_over_teachers(batch, teacher_loss)


def distances(x: Tensor) -> Tensor:
    """Return Euclidean distances [n, n]; the gradient is 0 where rows are equal, not NaN.

    Args:
        x: [n, D].
    """
    squared = squared_distances(x)
    return torch.where(squared > 0, squared, 1).sqrt() * (squared > 0)


def relative_distances(x: Tensor) -> Tensor:
    """Return distances [n, n] over the mean of those that are not 0.

    Args:
        x: [n, D].
    """
    d = distances(x)
    return d / d.sum().clamp_min(1e-12) * (d > 0).sum()


def angles(x: Tensor) -> Tensor:
    """Return cosines of the angles at each row between any two others, [n, n, n].

    They are 0 where rows are equal.

    Args:
        x: [n, D].
    """
    lines = x[:, None] - x
    lines = lines / distances(x).clamp_min(1e-12)[..., None]
    return lines @ lines.transpose(1, 2)
