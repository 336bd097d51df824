"""Classifiers on the same vectors, with all labels of the training clips: upper bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.core.params import PositiveFloat, PositiveInt, UnitInterval
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """D -> 2D -> C with ReLU and dropout, trained by Adam; the last epoch counts.

    Args:
        epochs: passes over the training clips.
        batch: clips per step.
        rate: learning rate.
        dropout: share of hidden numbers that are set to 0.
    """

    epochs: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    dropout: UnitInterval

    def fit_predict(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        test: np.ndarray,
        multi_label: bool,
        generator: torch.Generator,
    ) -> np.ndarray:
        """Train on some clips, and return the logits of others, float64 [N, C].

        Args:
            train: vectors of the training clips, [n, D].
            targets: of the training clips, bool [n, C].
            test: vectors of the other clips, [N, D].
            multi_label: whether the loss is binary cross-entropy, not cross-entropy.
            generator: source of initial weights, batches and dropout.
        """
        (count, width), classes = train.shape, targets.shape[1]
        network = nn.Sequential(nn.Linear(width, 2 * width), nn.Linear(2 * width, classes))
        init_(network, generator)
        loss_of = F.binary_cross_entropy_with_logits if multi_label else F.cross_entropy
        x, y = torch.from_numpy(train).float(), torch.from_numpy(targets).float()
        optimizer = torch.optim.Adam(network.parameters(), lr=self.rate)
        for _ in range(self.epochs):
            for index in torch.split(torch.randperm(count, generator=generator), self.batch):
                hidden = self._apply_dropout(network[0](x[index]).relu(), generator)
                loss = loss_of(network[1](hidden), y[index])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        with torch.no_grad():
            hidden = network[0](torch.from_numpy(test).float()).relu()
            return np.asarray(network[1](hidden).double().numpy())

    def _apply_dropout(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Drop numbers by the generator, not by torch's global state."""
        mask = torch.rand(hidden.shape, generator=generator) >= self.dropout
        return hidden * mask / max(1 - self.dropout, 1e-12)


def fit_predict_ridge(
    train: np.ndarray, targets: np.ndarray, penalties: Sequence[float], test: np.ndarray
) -> list[np.ndarray]:
    """Fit a ridge regression onto 0 and 1 per penalty, and return scores of other clips.

    Vectors and targets are centred; the offset has no penalty.

    Args:
        train: vectors of the training clips, [n, D].
        targets: of the training clips, bool [n, C].
        penalties: weights of the squared coefficients.
        test: vectors of the other clips, [N, D].

    Returns:
        Scores for each penalty, float64 [N, C].
    """
    mean, target_mean = train.mean(0), targets.mean(0)
    x, y = train - mean, targets - target_mean
    eigenvalues, basis = np.linalg.eigh(x.T @ x)
    rotated, moments = (test - mean) @ basis, basis.T @ (x.T @ y)
    return [
        rotated @ (moments / (np.maximum(eigenvalues, 0) + penalty)[:, None]) + target_mean
        for penalty in penalties
    ]
