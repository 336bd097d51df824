"""Means, deviations and bootstrap intervals of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.rng import make_generator

if TYPE_CHECKING:
    from pipeline.core.records import RealSet

# (sums, counts) of one run: the score of each clip and its number of windows, float64 [clips].
Counted = tuple[Tensor, Tensor]
# mean, std, n, low, high
Summary = dict[str, float | None]


def clip_numbers(real: RealSet) -> Tensor:
    """Return the number of each row's source clip, int64 [N]; clips are numbered by name.

    Args:
        real: a real split.
    """
    number = {clip: i for i, clip in enumerate(sorted(set(real.clips)))}
    return torch.tensor([number[clip] for clip in real.clips])


def summarise(runs: Sequence[Counted], students: int, times: int) -> Summary:
    """Return mean and population std over runs, and a 95 % bootstrap interval.

    The bootstrap draws source clips, sets, and students of each drawn set. Students of one set are
    not independent of each other, so sets are drawn before students.

    Args:
        runs: set by set, `students` of each.
        students: students per set.
        times: resamples.
    """
    sums, counts = (torch.stack([run[i] for run in runs]).double() for i in (0, 1))
    per_run = sums.sum(1) / counts.sum(1)
    generator = make_generator("bootstrap", *sums.shape)
    clips = resample(times, sums.shape[1], generator)
    drawn = resample_nested(times, len(runs) // students, students, generator)
    means = ((drawn @ sums) * clips).sum(1) / ((drawn @ counts) * clips).sum(1)
    # A resample may hold no clip that counts; its mean is NaN and left out.
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
    """Return mean and population std of one number per run, without an interval.

    Args:
        values: one per run.
    """
    numbers = torch.tensor(values, dtype=torch.float64)
    return {
        "mean": numbers.mean().item(),
        "std": numbers.std(correction=0).item(),
        "n": len(values),
        "low": None,
        "high": None,
    }


def resample(times: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` of `count` things with replacement, many times, and count how often each came.

    Args:
        times: resamples.
        count: number of things.
        generator: source of the draws.

    Returns:
        Counts, float64 [times, count].
    """
    draws = torch.randint(count, (times, count), generator=generator)
    return torch.zeros(times, count, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones(times, count, dtype=torch.float64)
    )


def resample_nested(times: int, groups: int, members: int, generator: torch.Generator) -> Tensor:
    """Draw groups with replacement, and in each drawn group its members with replacement.

    Args:
        times: resamples.
        groups: number of groups.
        members: members of each group.
        generator: source of the draws.

    Returns:
        How often each member came, float64 [times, groups x members].
    """
    group = torch.randint(groups, (times, groups, 1), generator=generator)
    member = torch.randint(members, (times, groups, members), generator=generator)
    draws = (group * members + member).flatten(1)
    return torch.zeros(times, groups * members, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones_like(draws, dtype=torch.float64)
    )
