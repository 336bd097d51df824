"""Mean, spread and a bootstrap interval of what was counted per source clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.streams import nested, resampled, stream

if TYPE_CHECKING:
    from pipeline.records import RealSet

# Of one run: what was scored, and out of how much, both float64 [clips].
Counted = tuple[Tensor, Tensor]
Summary = dict[str, float | None]


def clip_numbers(real: RealSet) -> Tensor:
    """int64 [N]: the number of each row's source clip, in the order of the clips' names."""
    number = {clip: i for i, clip in enumerate(sorted(set(real.clips)))}
    return torch.tensor([number[clip] for clip in real.clips])


def summarised(runs: Sequence[Counted], students: int, times: int) -> Summary:
    """Mean and population std over runs; a 95 % interval from resampling source clips, sets and their students.

    Args:
        times: resamples.
        runs: set by set, `students` of each. Students of one set share its luck, so sets are drawn first, then students in them.
    """
    sums, counts = (torch.stack([run[i] for run in runs]).double() for i in (0, 1))
    per_run = sums.sum(1) / counts.sum(1)
    generator = stream("bootstrap", *sums.shape)
    clips = resampled(times, sums.shape[1], generator)
    drawn = nested(times, len(runs) // students, students, generator)
    means = ((drawn @ sums) * clips).sum(1) / ((drawn @ counts) * clips).sum(1)
    # Where few clips count, a resample may have none of them, and nothing to say.
    low, high = torch.quantile(means[means.isfinite()], torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return {"mean": per_run.mean().item(), "std": per_run.std(correction=0).item(), "n": len(runs), "low": low, "high": high}


def plain(values: Sequence[float]) -> Summary:
    """Mean and population std of one number per run, which has no interval over clips."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return {"mean": numbers.mean().item(), "std": numbers.std(correction=0).item(), "n": len(values), "low": None, "high": None}
