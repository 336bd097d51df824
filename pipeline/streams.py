"""Randomness from counters: the same numbers give the same stream, whatever was drawn before."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def stream(*counters: int | str) -> torch.Generator:
    """A CPU generator for these counters, e.g. stream("match", seed, step); streams of different counters are unrelated."""
    digest = hashlib.sha256("\x1f".join(str(counter) for counter in counters).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def resampled(times: int, count: int, generator: torch.Generator) -> Tensor:
    """float64 [times, count]: how often each of `count` things is drawn when `count` are drawn with replacement (a bootstrap)."""
    draws = torch.randint(count, (times, count), generator=generator)
    return torch.zeros(times, count, dtype=torch.float64).scatter_add_(1, draws, torch.ones(times, count, dtype=torch.float64))


def nested(times: int, groups: int, members: int, generator: torch.Generator) -> Tensor:
    """float64 [times, groups x members]: groups are drawn with replacement, and in each drawn group its members are."""
    group = torch.randint(groups, (times, groups, 1), generator=generator)
    member = torch.randint(members, (times, groups, members), generator=generator)
    draws = (group * members + member).flatten(1)
    return torch.zeros(times, groups * members, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones_like(draws, dtype=torch.float64)
    )
