"""Top-1 accuracy: the most probable class is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.evaluation import MetricText
from pipeline.evaluation.metrics import sum_per_clip

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Top-1 accuracy; it has no parameters."""

    text: ClassVar[MetricText] = MetricText(title="accuracy", guesses=1)

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Return the right windows and all windows of each clip."""
        return sum_per_clip(probabilities.argmax(1) == label, clip)
