"""Randomness from counters: the same numbers give the same stream, whatever was drawn before."""

from __future__ import annotations

import hashlib

import torch


def make_generator(*counters: int | str) -> torch.Generator:
    """Return a CPU generator for these counters; those of different counters are unrelated.

    Args:
        counters: e.g. "match", seed, step.
    """
    digest = hashlib.sha256("\x1f".join(str(counter) for counter in counters).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
