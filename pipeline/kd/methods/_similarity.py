"""Kernels between the rows of a batch, and the neighbour probabilities that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def cosine(x: Tensor, epsilon: float) -> Tensor:
    """Return cosines of rows, moved to 0..1, [n, n].

    Args:
        x: [n, D].
        epsilon: added to lengths, as in both papers' code; a row of zeros is then similar to none.
    """
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    directions = x / (lengths + epsilon)
    return (directions @ directions.T + 1) / 2


def distance_kernel(x: Tensor, epsilon: float) -> Tensor:
    """Return 1 / (1 + distance) of rows, [n, n].

    Args:
        x: [n, D].
        epsilon: added to squared distances, whose root has no gradient at 0.
    """
    return (1 + (squared_distances(x) + epsilon).sqrt()).reciprocal()


def to_probabilities(kernel: Tensor) -> Tensor:
    """Normalise each row of a kernel to probabilities, at least 1e-12 each.

    Args:
        kernel: [n, n].
    """
    return (kernel / kernel.sum(1, keepdim=True)).clamp_min(1e-12)


def squared_distances(x: Tensor) -> Tensor:
    """Return squared Euclidean distances of rows, [n, n].

    Args:
        x: [n, D].
    """
    return (x[:, None] - x).square().sum(2)
