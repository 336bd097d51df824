"""Correlation congruence as RepDistiller (Tian et al., ICLR 2020) has it: differences of rows that follow each other in the batch.

It depends on the batch's order, unlike the paper's form (cor), and both embeds are trained, so that it can fall by shrinking them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import nn

from pipeline.core.params import PositiveInt
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.kd.methods._base import KDBatch, Term, Widths


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`width` of the embeds, published: 128."""

    width: PositiveInt

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A pair of embeds per teacher."""
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
        """See `following`."""

        def teacher_loss(modality: str, vectors: Tensor) -> Tensor:
            pair = cast("nn.ModuleDict", parts[modality])
            return correlation_loss(pair["student"](batch.features), pair["teacher"](vectors))

        return average_over_teachers(batch, teacher_loss)


def correlation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """With D = |student - teacher| [n, width]: the mean over i < n of the products D_i D_(i+1), summed."""
    apart = (student - teacher).abs()
    return (apart[:-1] * apart[1:]).sum(1).mean()
