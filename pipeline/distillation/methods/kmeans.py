"""k-means (the baseline of DC-BENCH, Cui et al., NeurIPS 2022; class by class): the real sample in the middle of each cluster."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.distillation.methods._selection import Ranked


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """See `Ranked`."""

    coreset = "kmeans"
