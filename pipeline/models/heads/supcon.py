"""Projections trained so that sounds and pictures of a class find each other.

The supervised contrastive loss (Khosla et al., NeurIPS 2020, their L_out) between modalities: as InfoNCE, but with every row of the
class as a partner in equal parts. InfoNCE pushes a batch's other rows of the same class away, which is wrong where what
is looked for is the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.models.heads._projection import ContrastiveHead

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Head(ContrastiveHead):
    """See `ContrastiveHead`."""

    def partners(self, label: Tensor) -> Tensor:
        """All rows of the row's class."""
        same = (label[:, None] == label).float()
        return same / same.sum(1, keepdim=True)
