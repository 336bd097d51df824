"""Knowledge distillation: the student's soft predictions follow the teacher's (Hinton et al., NIPS workshop 2014).

A teacher from another modality, or of other classes, has no logits for these classes: they are a linear probe's on its
vectors, fitted on the very rows that it teaches, so that on few rows they say little more than the label.
Published is 0.1 cross-entropy + 0.9 of this term, which is a weight of 9 at a tenth of the learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F

from pipeline.core.params import PositiveFloat
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import KDBatch, Term


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`temperature`: what logits are divided by; published: 4."""

    temperature: PositiveFloat

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """T^2 KL(teacher || student) of predictions softened by T."""
        return average_over_teachers(
            batch, lambda m, _: divergence(batch.logits, batch.probes[m], self.temperature)
        )


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), a mean over rows [n, C]."""
    soft, wanted = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * F.kl_div(soft, wanted, reduction="batchmean", log_target=True)
