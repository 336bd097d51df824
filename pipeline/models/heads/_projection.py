"""Heads of retrieval: linear projections into one space, trained to bring partners together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.params import PositiveFloat, PositiveInt
from pipeline.models.heads import VECTORS
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class ContrastiveHead(ABC):
    """A head whose projections are trained with a contrastive loss.

    Args:
        width: dimensions of the common space.
        temperature: divisor of the similarities.
    """

    gives: ClassVar[str] = VECTORS

    width: PositiveInt
    temperature: PositiveFloat

    @abstractmethod
    def partners(self, label: Tensor) -> Tensor:
        """Return each row's partners as weights [N, N] over the columns, each row summing to 1.

        Args:
            label: int64 [N].
        """

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Projection:
        """Build one output per modality; see `HeadPlugin.build`."""
        projection = Projection(features, self.width, self.temperature, self.partners)
        init_(projection, generator)
        return projection


class Projection(nn.Module):
    """A linear projection per modality, and the contrastive loss of two.

    Args:
        features: modality -> number of its features.
        width: dimensions of the common space.
        temperature: divisor of the similarities.
        partners: labels [N] -> weights [N, N] of each row's partners.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        width: int,
        temperature: float,
        partners: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({m: nn.Linear(count, width) for m, count in features.items()})
        self.temperature = temperature
        self.partners = partners

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features [N, D] per modality -> unit vectors [N, width] per modality."""
        return {m: F.normalize(project(features[m]), dim=1) for m, project in self.parts.items()}

    def loss(
        self, outputs: Mapping[str, Tensor], label: Tensor, soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Return the cross-entropy of partners and similarities, the mean of both directions.

        Args:
            outputs: two modalities -> unit vectors [N, width].
            label: int64 [N].
            soft: not used.
        """
        one, other = outputs.values()
        similarity = one @ other.T / self.temperature
        targets = self.partners(label)
        return (F.cross_entropy(similarity, targets) + F.cross_entropy(similarity.T, targets)) / 2
