"""What the heads of retrieval share: linear projections of the modalities into one space, trained to bring partners together."""

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
    """`width`: of the common space; `temperature`: what similarities are divided by."""

    gives: ClassVar[str] = VECTORS

    width: PositiveInt
    temperature: PositiveFloat

    @abstractmethod
    def partners(self, label: Tensor) -> Tensor:
        """Labels [N] -> [N, N]: how much each row's partner is to be each column, summing to 1; each head has its own."""

    def build(
        self, features: Mapping[str, int], classes: int, generator: torch.Generator
    ) -> Projection:
        """One output per modality."""
        projection = Projection(features, self.width, self.temperature, self.partners)
        init_(projection, generator)
        return projection


class Projection(nn.Module):
    """Features [N, D] per modality -> unit vectors [N, width] per modality."""

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
        return {m: F.normalize(part(features[m]), dim=1) for m, part in self.parts.items()}

    def loss(
        self, outputs: Mapping[str, Tensor], label: Tensor, soft: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Cross-entropy between the partners and the softmax of similarities, the mean of both directions."""
        one, other = outputs.values()
        similarity = one @ other.T / self.temperature
        wanted = self.partners(label)
        return (F.cross_entropy(similarity, wanted) + F.cross_entropy(similarity.T, wanted)) / 2
