"""Top-1 accuracy: is the most probable class the right one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """No parameters."""

    def per_row(self, probabilities: Tensor, label: Tensor) -> Tensor:
        """Probabilities [N, C] and labels [N] -> float32 [N], 1 where right; the mean is the metric."""
        return (probabilities.argmax(1) == label).float()
