"""Two linear projections into one space, trained so that a second's sound and picture find each other; the head of retrieval.

The loss is the symmetric InfoNCE of CLIP (Radford et al., ICML 2021) over a batch: with unit vectors a_i, v_i and temperature t,
the mean of -log softmax_j(a_i . v_j / t)_i and -log softmax_j(v_i . a_j / t)_i. Labels are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.heads import VECTORS
from pipeline.params import Count, Positive
from pipeline.weights import draw

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Head:
    """`width`: of the common space; `temperature`: what similarities are divided by."""

    gives: ClassVar[str] = VECTORS
    width: Count
    temperature: Positive

    def build(self, features: Mapping[str, int], classes: int, generator: torch.Generator) -> Projection:
        """One output per modality."""
        projection = Projection(features, self.width, self.temperature)
        draw(projection, generator)
        return projection


class Projection(nn.Module):
    """Features [N, D] per modality -> unit vectors [N, width] per modality."""

    def __init__(self, features: Mapping[str, int], width: int, temperature: float) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({m: nn.Linear(count, width) for m, count in features.items()})
        self.temperature = temperature

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {m: F.normalize(part(features[m]), dim=1) for m, part in self.parts.items()}

    def loss(self, outputs: Mapping[str, Tensor], label: Tensor) -> Tensor:
        """The symmetric InfoNCE of every two modalities."""
        one, other = outputs.values()
        similarity = one @ other.T / self.temperature
        own = torch.arange(len(similarity), device=similarity.device)
        return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2
