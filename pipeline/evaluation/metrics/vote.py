"""Clip accuracy by vote: a clip gets the class of the highest mean probability over its windows."""

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
    """Accuracy by vote; it has no parameters. The windows of a clip have one label."""

    text: ClassVar[MetricText] = MetricText(title="clip accuracy by vote", guesses=1)

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 for each clip that is right, and 1 for each clip."""
        clips = int(clip.max()) + 1
        votes = torch.zeros(clips, probabilities.shape[1]).index_add_(0, clip, probabilities)
        labels = torch.zeros(clips, dtype=torch.long).index_copy_(0, clip, label)
        return sum_per_clip(votes.argmax(1) == labels, torch.arange(clips))
