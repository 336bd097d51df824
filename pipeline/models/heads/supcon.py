"""Projections trained to match sounds and pictures of the same class.

The supervised contrastive loss (Khosla et al., NeurIPS 2020, their L_out) between modalities: as
InfoNCE, but every row of the class is a partner with equal weight. InfoNCE pushes a batch's other
rows of the same class away, which is wrong when a query looks for the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.models.heads._projection import ContrastiveHead

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Head(ContrastiveHead):
    """A contrastive head of partners by class; see `ContrastiveHead` for its parameters."""

    def partners(self, label: Tensor) -> Tensor:
        """Return equal weights for all rows of the same class."""
        same = (label[:, None] == label).float()
        return same / same.sum(1, keepdim=True)
