"""Clip accuracy by vote: the mean of its windows' probabilities decides for a whole clip, however long it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from pipeline.evaluation import MetricText
from pipeline.evaluation.metrics import sum_per_clip

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """No parameters; the windows of a clip have one label."""

    text: ClassVar[MetricText] = MetricText(title="clip accuracy by vote")

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities [N, C], labels [N], clip numbers [N] -> 1 for each clip that is right, and 1 for each clip."""
        clips = int(clip.max()) + 1
        votes = torch.zeros(clips, probabilities.shape[1]).index_add_(0, clip, probabilities)
        wanted = torch.zeros(clips, dtype=torch.long).index_copy_(0, clip, label)
        return sum_per_clip(votes.argmax(1) == wanted, torch.arange(clips))
