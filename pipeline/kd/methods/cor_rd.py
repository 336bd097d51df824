"""Correlation congruence as RepDistiller (Tian et al., ICLR 2020) has it: differences of rows that follow each other in the batch.

It depends on the batch's order, unlike the paper's form (cor), and both embeds are trained, so that it can fall by shrinking them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import nn

from pipeline.core.params import Count
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import mean
from pipeline.models.initialisation import draw

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.kd.methods._base import Batch, Term, Widths


@dataclass(frozen=True, kw_only=True)
class Method(_method.Method):
    """`width` of the embeds, published: 128."""

    width: Count

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
        draw(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: Batch) -> Term:
        """See `following`."""

        def between(modality: str, vectors: Tensor) -> Tensor:
            pair = cast("nn.ModuleDict", parts[modality])
            return following(pair["student"](batch.features), pair["teacher"](vectors))

        return mean(batch, between)


def following(student: Tensor, teacher: Tensor) -> Tensor:
    """With D = |student - teacher| [n, width]: the mean over i < n of the products D_i D_(i+1), summed."""
    apart = (student - teacher).abs()
    return (apart[:-1] * apart[1:]).sum(1).mean()
