"""Information-flow divergence (Passalis et al., CVPR 2020): match neighbours per layer.

The teacher's layers are its stored vector and the logits of a linear probe on it. The student's are
its features and logits. The paper uses no cross-entropy, and an auxiliary teacher of the student's
architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.core.params import NonNegativeFloat, UnitInterval
from pipeline.kd.method import KDMethod, average_over_teachers
from pipeline.kd.methods._similarity import cosine, distance_kernel, to_probabilities

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term

TITLE = "Information-flow divergence (IFD)"
PAPER = "https://arxiv.org/abs/2005.00727"
# Keeps lengths and distances above 0.
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Information-flow divergence.

    Args:
        early: weight of the earlier layer in the first epoch; published: 100.
        decay: factor on `early` per epoch; published: 0.7.
    """

    early: NonNegativeFloat
    decay: UnitInterval

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Add the divergences of the last and the earlier layer."""
        weight = self.early * self.decay**batch.epoch

        def teacher_loss(modality: str, vectors: Tensor) -> Tensor:
            return divergence(batch.logits, batch.probes[modality]) + weight * divergence(
                batch.features, vectors
            )

        return average_over_teachers(batch, teacher_loss)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the Jeffreys divergence of neighbour probabilities, averaged over pairs.

    It is summed over two kernels, the cosine and 1 / (1 + distance).

    Args:
        student: [n, D].
        teacher: [n, D_t].
    """
    kernels = [
        (to_probabilities(kernel(student, EPSILON)), to_probabilities(kernel(teacher, EPSILON)))
        for kernel in (cosine, distance_kernel)
    ]
    return torch.stack(
        [((one - other) * (one.log() - other.log())).mean() for one, other in kernels]
    ).sum()
