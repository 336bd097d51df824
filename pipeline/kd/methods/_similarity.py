"""How alike the rows of a batch are: kernels [n, n], and what they say of a row's neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def cosine(x: Tensor, least: float) -> Tensor:
    """Cosines moved to 0..1; `least` is added to lengths, as both authors do, so that a row of zeros is like no other."""
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    directions = x / (lengths + least)
    return (directions @ directions.T + 1) / 2


def distance_kernel(x: Tensor, least: float) -> Tensor:
    """1 / (1 + distance); `least` is added to squared distances, whose root has no gradient at 0."""
    return (1 + (squared_distances(x) + least).sqrt()).reciprocal()


def to_probabilities(kernel: Tensor) -> Tensor:
    """Each row of a kernel as probabilities, the row's own included; none of them is quite 0."""
    return (kernel / kernel.sum(1, keepdim=True)).clamp_min(1e-12)


def squared_distances(x: Tensor) -> Tensor:
    """Squared Euclidean distances of rows [n, D]."""
    return (x[:, None] - x).square().sum(2)
