"""Real and synthetic instances in one plane: principal components of what an untrained network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.rng import make_generator

if TYPE_CHECKING:
    from pipeline.core.records import RealSet
    from pipeline.models.model import NetworkPlugin
    from pipeline.models.networks._towers import Towers
    from pipeline.training.instances import Instances

# Points that are drawn of one set; more would hide each other.
MOST = 300


@dataclass(frozen=True, kw_only=True)
class PCAProjection:
    """The space in which mean-matching methods work, seen from its two widest sides.

    Args:
        towers: of random weights, the same for every set; `mean`, `axes`: [D] and [D, 2] of the features of real windows.
    """

    towers: Towers
    mean: Tensor
    axes: Tensor

    @classmethod
    def fit(cls, real: RealSet, network: NetworkPlugin) -> PCAProjection:
        """The plane of a real split (PCA; Pearson 1901), by the features of both modalities together."""
        towers = network.build(real.shapes, make_generator("plane"))
        features = _embed(towers, real.normalise(_sample_evenly(len(real))))
        mean = features.mean(0)
        _, _, axes = torch.linalg.svd(features - mean, full_matrices=False)
        axes = F.pad(axes, (0, 0, 0, 2))[:2].T  # of a single window there are fewer than two
        # The sign of a component is arbitrary; the larger side of each is made positive.
        return cls(
            towers=towers,
            mean=mean,
            axes=axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign(),
        )

    def project(self, data: Instances) -> list[list[float]]:
        """[x, y, label] of at most MOST instances, evenly taken."""
        index = _sample_evenly(len(data.label))
        places = (_embed(self.towers, data.take(index)) - self.mean) @ self.axes
        return [
            [round(x, 4), round(y, 4), label]
            for (x, y), label in zip(places.tolist(), data.label[index].tolist(), strict=True)
        ]


@torch.no_grad()
def _embed(towers: Towers, rows: dict[str, Tensor]) -> Tensor:
    cpu = {m: values.cpu() for m, values in rows.items()}
    return torch.cat(list(towers.embed(cpu).values()), 1)


def _sample_evenly(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, MOST)).round().long()
