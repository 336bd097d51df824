"""TODO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.rng import make_generator

if TYPE_CHECKING:
    from pipeline.core.records import RealSet

# Of one run: what was scored, and out of how much, both float64 [clips].
Counted = tuple[Tensor, Tensor]
Summary = dict[str, float | None]


def clip_numbers(real: RealSet) -> Tensor:
    """int64 [N]: the number of each row's source clip, in the order of the clips' names."""
    number = {clip: i for i, clip in enumerate(sorted(set(real.clips)))}
    return torch.tensor([number[clip] for clip in real.clips])


def summarise(runs: Sequence[Counted], students: int, times: int) -> Summary:
    """Mean and population std over runs; a 95 % interval from resampling source clips, sets and their students.

    Args:
        times: resamples.
        runs: set by set, `students` of each. Students of one set share its luck, so sets are drawn first, then students in them.
    """
    sums, counts = (torch.stack([run[i] for run in runs]).double() for i in (0, 1))
    per_run = sums.sum(1) / counts.sum(1)
    generator = make_generator("bootstrap", *sums.shape)
    clips = resample(times, sums.shape[1], generator)
    drawn = resample_nested(times, len(runs) // students, students, generator)
    means = ((drawn @ sums) * clips).sum(1) / ((drawn @ counts) * clips).sum(1)
    # Where few clips count, a resample may have none of them, and nothing to say.
    low, high = torch.quantile(
        means[means.isfinite()], torch.tensor([0.025, 0.975], dtype=torch.float64)
    ).tolist()
    return {
        "mean": per_run.mean().item(),
        "std": per_run.std(correction=0).item(),
        "n": len(runs),
        "low": low,
        "high": high,
    }


def summarise_values(values: Sequence[float]) -> Summary:
    """Mean and population std of one number per run, which has no interval over clips."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return {
        "mean": numbers.mean().item(),
        "std": numbers.std(correction=0).item(),
        "n": len(values),
        "low": None,
        "high": None,
    }


def resample(times: int, count: int, generator: torch.Generator) -> Tensor:
    """float64 [times, count]: how often each of `count` things is drawn when `count` are drawn with replacement (a bootstrap)."""
    draws = torch.randint(count, (times, count), generator=generator)
    return torch.zeros(times, count, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones(times, count, dtype=torch.float64)
    )


def resample_nested(times: int, groups: int, members: int, generator: torch.Generator) -> Tensor:
    """float64 [times, groups x members]: groups are drawn with replacement, and in each drawn group its members are."""
    group = torch.randint(groups, (times, groups, 1), generator=generator)
    member = torch.randint(members, (times, groups, members), generator=generator)
    draws = (group * members + member).flatten(1)
    return torch.zeros(times, groups * members, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones_like(draws, dtype=torch.float64)
    )
