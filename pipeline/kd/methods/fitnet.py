"""FitNets (Romero et al., ICLR 2015): a linear map of the student's features fits the teacher's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from pipeline.kd.method import KDMethod, average_over_teachers
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    import torch

    from pipeline.kd.method import KDBatch, Term, Widths

TITLE = "FitNets"
PAPER = "https://arxiv.org/abs/1412.6550"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """No parameters of its own."""

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build a linear map without bias per teacher."""
        parts = nn.ModuleDict(
            {m: nn.Linear(widths.student, wide, bias=False) for m, wide in widths.teachers.items()}
        )
        init_(parts, generator)
        return parts

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return the mean squared difference over rows and components."""
        return average_over_teachers(
            batch, lambda m, vectors: F.mse_loss(parts[m](batch.features), vectors)
        )
