"""Projections trained so that a second's sound and picture find each other, and nothing else: labels are not looked at.

The loss is the symmetric InfoNCE of CLIP (Radford et al., ICML 2021) over a batch: with unit vectors a_i, v_i and temperature t,
the mean of -log softmax_j(a_i . v_j / t)_i and -log softmax_j(v_i . a_j / t)_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.models.heads._projection import ContrastiveHead

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Head(ContrastiveHead):
    """See `ContrastiveHead`."""

    def partners(self, label: Tensor) -> Tensor:
        """Each row's partner is its own."""
        return torch.eye(len(label), device=label.device)
