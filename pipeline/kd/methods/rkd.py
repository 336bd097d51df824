"""Relational knowledge distillation: distances and angles between rows are the teacher's (Park et al., CVPR 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core.params import NonNegativeFloat
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers
from pipeline.kd.methods._similarity import squared_distances

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import KDBatch, Term


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`distance` and `angle`: weights of the two terms, published: 25 and 50; memory grows with the cube of the batch."""

    distance: NonNegativeFloat
    angle: NonNegativeFloat

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Smooth L1 between what the student and the teacher say of pairs, and of triplets."""

        def teacher_loss(_: str, vectors: Tensor) -> Tensor:
            pairs = F.smooth_l1_loss(
                relative_distances(batch.features), relative_distances(vectors)
            )
            return self.distance * pairs + self.angle * F.smooth_l1_loss(
                angles(batch.features), angles(vectors)
            )

        return average_over_teachers(batch, teacher_loss)


def distances(x: Tensor) -> Tensor:
    """Euclidean distances [n, n]; their gradient is 0 where rows are equal, not NaN."""
    apart = squared_distances(x)
    return torch.where(apart > 0, apart, 1).sqrt() * (apart > 0)


def relative_distances(x: Tensor) -> Tensor:
    """Distances [n, n] over the mean of those that are not 0."""
    apart = distances(x)
    return apart / apart.sum().clamp_min(1e-12) * (apart > 0).sum()


def angles(x: Tensor) -> Tensor:
    """Cosines of the angles at every row between every two others, [n, n, n]; 0 where rows are equal."""
    lines = x[:, None] - x
    lines = lines / distances(x).clamp_min(1e-12)[..., None]
    return lines @ lines.transpose(1, 2)
