"""Contrastive representation distillation: student and teacher of a row find each other (Tian et al., ICLR 2020).

Negatives are rows of other classes. The memory's Z is fixed by the first batch, and on a few hundred rows it can be far off;
crd_inbatch has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.methods._memory_bank import Remembering

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Method(Remembering):
    """See `Remembering`."""

    def allowed(self, label: Tensor, of_row: Tensor) -> Tensor:
        """Rows of other classes, all alike."""
        return (label[:, None] != of_row).float()
