"""Contrastive multiview coding: student and teacher are two views of a row, told from any other row (Tian et al., ECCV 2020).

Negatives are drawn from all rows, so that some are of the row's class. A pair of two frozen teachers moves nothing: left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.kd.methods._memory_bank import Remembering

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Method(Remembering):
    """See `Remembering`."""

    def allowed(self, label: Tensor, of_row: Tensor) -> Tensor:
        """All rows."""
        return torch.ones(len(label), len(of_row))
