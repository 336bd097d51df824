"""Classify frozen vectors: a linear probe, and the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Weight of the penalty, half the sum of squared coefficients; and the most steps of L-BFGS.
PENALTY, STEPS = 0.01, 60


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """A linear classifier on standardised vectors.

    Args:
        mean: of the training vectors, float64 [D].
        scale: their standard deviation, float64 [D].
        coefficients: float64 [D, C].
        offset: float64 [C].
    """

    mean: Tensor
    scale: Tensor
    coefficients: Tensor
    offset: Tensor

    def logits(self, vectors: Tensor) -> Tensor:
        """Return logits float32 [N, C].

        Args:
            vectors: [N, D].
        """
        return (
            (vectors.double() - self.mean) / self.scale @ self.coefficients + self.offset
        ).float()


def fit_linear_probe(vectors: Tensor, label: Tensor, classes: int) -> LinearProbe:
    """Fit a softmax regression; the problem is convex, so no seed and no learning rate decide it.

    Args:
        vectors: [N, D].
        label: int64 [N].
        classes: number of classes.
    """
    rows = vectors.double()
    # A constant component stays 0.
    mean, spread = rows.mean(0), rows.std(0, correction=0)
    scale = torch.where(spread > 0, spread, 1.0)
    rows = (rows - mean) / scale
    weights = rows.new_zeros(rows.shape[1] + 1, classes).requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = (
            F.cross_entropy(rows @ weights[:-1] + weights[-1], label)
            + PENALTY / 2 * weights[:-1].square().sum()
        )
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted = weights.detach()
    return LinearProbe(mean=mean, scale=scale, coefficients=fitted[:-1], offset=fitted[-1])


def classify_by_nearest_mean(
    vectors: Tensor, label: Tensor, classes: int, queries: Tensor
) -> Tensor:
    """Return for each query the class with the nearest mean; all vectors are scaled to length 1.

    Args:
        vectors: [N, D].
        label: int64 [N].
        classes: number of classes.
        queries: [Q, D].

    Returns:
        int64 [Q].
    """
    rows = F.normalize(vectors.double(), dim=1)
    counts = torch.bincount(label, minlength=classes)[:, None]
    means = (
        torch.zeros(classes, rows.shape[1], dtype=torch.float64).index_add_(0, label, rows) / counts
    )
    return torch.cdist(F.normalize(queries.double(), dim=1), means).argmin(1)
