"""Metrics: probabilities and labels become a sum of scores and their number, per source clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def sum_per_clip(values: Tensor, clip: Tensor, clips: int = 0) -> tuple[Tensor, Tensor]:
    """Return the sums and the numbers of the values of each clip, float64 [clips].

    Args:
        values: [N].
        clip: number of each value's clip, int64 [N].
        clips: there are at least so many clips, some of them without values.
    """
    clips = max(clips, int(clip.max()) + 1)
    sums = torch.zeros(clips, dtype=torch.float64).index_add_(0, clip, values.double())
    return sums, torch.bincount(clip, minlength=clips).double()
