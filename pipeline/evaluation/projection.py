"""A plane for real and synthetic instances: principal components of a random network's features."""

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
    from pipeline.models.towers import Towers
    from pipeline.training.instances import Instances

# Points per set; more would hide each other.
MAX_POINTS = 300


@dataclass(frozen=True, kw_only=True)
class PCAProjection:
    """The first two principal components of the space in which mean-matching methods work.

    Args:
        towers: random weights, the same for every set.
        mean: of the features of real windows, [D].
        axes: the components, [D, 2].
    """

    towers: Towers
    mean: Tensor
    axes: Tensor

    @classmethod
    def fit(cls, real: RealSet, network: NetworkPlugin) -> PCAProjection:
        """Compute the components of a real split (PCA; Pearson 1901).

        The features of both modalities are concatenated.

        Args:
            real: the split.
            network: the architecture of the random towers.
        """
        towers = network.build(real.shapes, make_generator("plane"))
        features = _embed(towers, real.normalise(_sample_evenly(len(real))))
        mean = features.mean(0)
        _, _, axes = torch.linalg.svd(features - mean, full_matrices=False)
        axes = F.pad(axes, (0, 0, 0, 2))[:2].T  # a single window has fewer than two
        # The sign of a component is arbitrary; its largest entry is made positive.
        signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        return cls(towers=towers, mean=mean, axes=axes * signs)

    def project(self, data: Instances) -> list[list[float]]:
        """Return [x, y, label] of at most MAX_POINTS instances, evenly spaced.

        Args:
            data: real or synthetic instances.
        """
        index = _sample_evenly(len(data.label))
        points = (_embed(self.towers, data.take(index)) - self.mean) @ self.axes
        return [
            [round(x, 4), round(y, 4), label]
            for (x, y), label in zip(points.tolist(), data.label[index].tolist(), strict=True)
        ]


@torch.no_grad()
def _embed(towers: Towers, rows: dict[str, Tensor]) -> Tensor:
    cpu = {m: values.cpu() for m, values in rows.items()}
    return torch.cat(list(towers.embed(cpu).values()), 1)


def _sample_evenly(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, MAX_POINTS)).round().long()
