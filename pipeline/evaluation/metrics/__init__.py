"""Metrics: probabilities and labels -> what was scored and out of how much, per source clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def sum_per_clip(values: Tensor, clip: Tensor, clips: int = 0) -> tuple[Tensor, Tensor]:
    """Values [N] and each row's clip number -> their sums and their numbers, float64 [clips]; at least `clips` of them."""
    clips = max(clips, int(clip.max()) + 1)
    sums = torch.zeros(clips, dtype=torch.float64).index_add_(0, clip, values.double())
    return sums, torch.bincount(clip, minlength=clips).double()
