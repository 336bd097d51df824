"""Knowledge distillation (Hinton et al., NIPS workshop 2014): match the teacher's soft predictions.

A teacher of another modality or of other classes has no logits for these classes. A linear probe on
its vectors gives them, fitted on the training rows; on few rows they add little to the label.
The published loss, 0.1 cross-entropy + 0.9 of this term, is a weight of 9 at a tenth of the rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F

from pipeline.core.params import PositiveFloat
from pipeline.kd.method import KDMethod, average_over_teachers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term

TITLE = "Knowledge distillation (KD)"
PAPER = "https://arxiv.org/abs/1503.02531"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Knowledge distillation.

    Args:
        temperature: divides the logits; published: 4.
    """

    temperature: PositiveFloat

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return T^2 KL(teacher || student) of predictions at temperature T."""
        return average_over_teachers(
            batch, lambda m, _: divergence(batch.logits, batch.probes[m], self.temperature)
        )


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)), averaged over rows.

    Args:
        student: logits [n, C].
        teacher: logits [n, C].
        temperature: T.
    """
    log_s, log_t = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * F.kl_div(log_s, log_t, reduction="batchmean", log_target=True)
