"""Top-5 accuracy: the right class is among the five most probable ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.evaluation import MetricText
from pipeline.evaluation.metrics import sum_per_clip

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Top-5 accuracy; it has no parameters, and with five classes or fewer it is 1."""

    text: ClassVar[MetricText] = MetricText(title="top-5 accuracy", guesses=5)

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Return the right windows and all windows of each clip."""
        best = probabilities.topk(min(5, probabilities.shape[1])).indices
        return sum_per_clip((best == label[:, None]).any(1), clip)
