"""What networks share: towers and heads by modality, and weights drawn from a generator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


class AudioVisual(nn.Module):
    """One tower and one linear head per modality; the towers share nothing, so that each can be read alone.

    Args:
        towers: modality -> module from [B, C, H, W] to anything that flattens to `features` numbers per row.
    """

    def __init__(self, towers: Mapping[str, nn.Module], features: int, classes: int) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.heads = nn.ModuleDict({modality: nn.Linear(features, classes) for modality in towers})

    def embed(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows [N, ..., C, H, W] -> features [N, D] per modality, averaged over the frames of a row."""
        features = {}
        for modality, values in rows.items():
            flat = self.towers[modality](values.flatten(0, -4)).flatten(1)
            features[modality] = flat.reshape(len(values), -1, flat.shape[1]).mean(1)
        return features

    def forward(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows -> logits [N, classes] per modality."""
        return {modality: self.heads[modality](features) for modality, features in self.embed(rows).items()}

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew, in place: PyTorch's defaults for towers; heads N(0, 1e-4) with zero bias, as AVDD has them."""
        for module in self.towers.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = 1 / math.sqrt(module.weight[0].numel())
                _uniform(module.weight, bound, generator)
                if module.bias is not None:
                    _uniform(module.bias, bound, generator)
        for head in self.heads.values():
            assert isinstance(head, nn.Linear)
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * 1e-4)
            head.bias.zero_()


def _uniform(weights: Tensor, bound: float, generator: torch.Generator) -> None:
    weights.copy_(torch.rand(weights.shape, generator=generator) * (2 * bound) - bound)
