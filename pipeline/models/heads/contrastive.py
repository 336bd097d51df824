"""Projections trained to match the sound and the picture of the same second, without labels.

The loss is the symmetric InfoNCE of CLIP (Radford et al., ICML 2021) over a batch: with unit
vectors a_i, v_i and temperature t, the mean of -log softmax_j(a_i . v_j / t)_i and
-log softmax_j(v_i . a_j / t)_i.
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
    """A contrastive head of single partners; see `ContrastiveHead` for its parameters."""

    def partners(self, label: Tensor) -> Tensor:
        """Return the identity: each row is the partner of its own column."""
        return torch.eye(len(label), device=label.device)
