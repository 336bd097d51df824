"""FitNets: a linear map of the student's features is the teacher's vector (Romero et al., ICLR 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import mean
from pipeline.models.initialisation import draw

if TYPE_CHECKING:
    import torch

    from pipeline.kd.methods._base import Batch, Term, Widths


@dataclass(frozen=True, kw_only=True)
class Method(_method.Method):
    """No parameters of its own."""

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A map without bias per teacher."""
        parts = nn.ModuleDict(
            {m: nn.Linear(widths.student, wide, bias=False) for m, wide in widths.teachers.items()}
        )
        draw(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: Batch) -> Term:
        """Mean squared difference, over rows and numbers."""
        return mean(batch, lambda m, vectors: F.mse_loss(parts[m](batch.features), vectors))
