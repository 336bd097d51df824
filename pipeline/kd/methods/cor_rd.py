"""Correlation congruence as in RepDistiller (Tian et al., ICLR 2020), on consecutive batch rows.

Unlike the paper's form (cor) it depends on the batch's order. Both projections are trained, so the
loss can also fall because they shrink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import nn

from pipeline.core.params import PositiveInt
from pipeline.kd.method import KDMethod, average_over_teachers
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.kd.method import KDBatch, Term, Widths

TITLE = "Correlation congruence of RepDistiller"
PAPER = "https://arxiv.org/abs/1910.10699"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Correlation congruence of consecutive rows.

    Args:
        width: of the projections; published: 128.
    """

    width: PositiveInt

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build a pair of projections per teacher."""
        parts = nn.ModuleDict(
            {
                m: nn.ModuleDict(
                    {
                        "student": nn.Linear(widths.student, self.width),
                        "teacher": nn.Linear(wide, self.width),
                    }
                )
                for m, wide in widths.teachers.items()
            }
        )
        init_(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """See `correlation_loss`."""

        def teacher_loss(modality: str, vectors: Tensor) -> Tensor:
            pair = cast("nn.ModuleDict", parts[modality])
            return correlation_loss(pair["student"](batch.features), pair["teacher"](vectors))

        return average_over_teachers(batch, teacher_loss)


def correlation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over i < n of D_i . D_(i+1), with D = |student - teacher|.

    Args:
        student: [n, width].
        teacher: [n, width].
    """
    difference = (student - teacher).abs()
    return (difference[:-1] * difference[1:]).sum(1).mean()
