"""Information-flow divergence: in each layer, neighbours are as likely as in the teacher's (Passalis et al., CVPR 2020).

The store holds one layer of a teacher, its vector; behind it comes the logits of a linear probe, so that there are two. The
student's are its features and its logits. Original: no cross-entropy, and an auxiliary teacher of the student's form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.core.params import NonNegativeFloat, UnitInterval
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers
from pipeline.kd.methods._similarity import cosine, distance_kernel, to_probabilities

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import KDBatch, Term

# Keeps directions and distances finite.
LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`early`: weight of the earlier layer in the first epoch, published: 100; it shrinks by `decay` each epoch, published: 0.7."""

    early: NonNegativeFloat
    decay: UnitInterval

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """The last layer's divergence, and the earlier one's."""
        weight = self.early * self.decay**batch.epoch

        def teacher_loss(modality: str, vectors: Tensor) -> Tensor:
            return divergence(batch.logits, batch.probes[modality]) + weight * divergence(
                batch.features, vectors
            )

        return average_over_teachers(batch, teacher_loss)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Jeffreys divergence of the neighbours' probabilities, a mean over pairs, of the cosine kernel and of 1 / (1 + distance)."""
    kernels = [
        (to_probabilities(kernel(student, LEAST)), to_probabilities(kernel(teacher, LEAST)))
        for kernel in (cosine, distance_kernel)
    ]
    return torch.stack(
        [((one - other) * (one.log() - other.log())).mean() for one, other in kernels]
    ).sum()
