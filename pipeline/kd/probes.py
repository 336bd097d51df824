"""What frozen vectors say of the classes by themselves: a linear probe, and the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Of the probe: weight of half the squared coefficients beside the mean cross-entropy, and L-BFGS steps at most.
PENALTY, STEPS = 0.01, 60


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """A linear classifier on standardised vectors.

    Args:
        mean, scale: float64 [D] of the training vectors; coefficients: float64 [D, C]; offset: float64 [C].
    """

    mean: Tensor
    scale: Tensor
    coefficients: Tensor
    offset: Tensor

    def logits(self, vectors: Tensor) -> Tensor:
        """Vectors [N, D] -> float32 [N, C]."""
        return (
            (vectors.double() - self.mean) / self.scale @ self.coefficients + self.offset
        ).float()


def fit_linear_probe(vectors: Tensor, label: Tensor, classes: int) -> LinearProbe:
    """Softmax regression on vectors [N, D] and labels int64 [N]: a convex problem, so that no seed and no rate decide it."""
    rows = vectors.double()
    # A number that never changes stays 0.
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
    found = weights.detach()
    return LinearProbe(mean=mean, scale=scale, coefficients=found[:-1], offset=found[-1])


def classify_by_nearest_mean(
    vectors: Tensor, label: Tensor, classes: int, queries: Tensor
) -> Tensor:
    """For each query [Q, D] the class whose mean of unit vectors [N, D] is nearest to the query's: int64 [Q]."""
    rows = F.normalize(vectors.double(), dim=1)
    counts = torch.bincount(label, minlength=classes)[:, None]
    means = (
        torch.zeros(classes, rows.shape[1], dtype=torch.float64).index_add_(0, label, rows) / counts
    )
    return torch.cdist(F.normalize(queries.double(), dim=1), means).argmin(1)
