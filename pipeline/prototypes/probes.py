"""Upper bounds: what a classifier reaches on the same vectors with all labels of the training clips."""

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
    """D -> 2D -> C with ReLU and dropout, Adam; cross-entropy, binary for several labels; the last epoch counts."""

    epochs: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    dropout: UnitInterval

    def fit_predict(
        self,
        seen: np.ndarray,
        has: np.ndarray,
        vectors: np.ndarray,
        several: bool,
        generator: torch.Generator,
    ) -> np.ndarray:
        """Taught clips [n, D] and their labels [n, C] -> logits of other clips, float64 [N, C]."""
        (count, width), classes = seen.shape, has.shape[1]
        network = nn.Sequential(nn.Linear(width, 2 * width), nn.Linear(2 * width, classes))
        init_(network, generator)
        x, y = torch.from_numpy(seen).float(), torch.from_numpy(has).float()
        optimiser = torch.optim.Adam(network.parameters(), lr=self.rate)
        for _ in range(self.epochs):
            for index in torch.split(torch.randperm(count, generator=generator), self.batch):
                logits = network[1](self._apply_dropout(network[0](x[index]).relu(), generator))
                loss = (
                    F.binary_cross_entropy_with_logits(logits, y[index])
                    if several
                    else F.cross_entropy(logits, y[index])
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        with torch.no_grad():
            return np.asarray(
                network[1](network[0](torch.from_numpy(vectors).float()).relu()).double().numpy()
            )

    def _apply_dropout(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Dropout from the generator, not from torch's own state."""
        kept = torch.rand(hidden.shape, generator=generator) >= self.dropout
        return hidden * kept / max(1 - self.dropout, 1e-12)


def fit_predict_ridge(
    seen: np.ndarray, has: np.ndarray, penalties: Sequence[float], vectors: np.ndarray
) -> list[np.ndarray]:
    """Ridge regression onto 0 and 1: scores of clips [N, D] for each penalty, float64 [N, C]; centred, no penalty on the offset."""
    middle, share = seen.mean(0), has.mean(0)
    x, y = seen - middle, has - share
    values, basis = np.linalg.eigh(x.T @ x)
    turned, target = (vectors - middle) @ basis, basis.T @ (x.T @ y)
    return [
        turned @ (target / (np.maximum(values, 0) + penalty)[:, None]) + share
        for penalty in penalties
    ]
