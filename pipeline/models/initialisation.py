"""Fresh weights drawn from a generator: what every network and head starts from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PositionEmbedding(nn.Module):
    """Adds a learned vector to each token; drawn from N(0, 0.02) as in ViT (Dosovitskiy et al., ICLR 2021)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> the same."""
        return x + self.vectors


@torch.no_grad()
def init_(module: nn.Module, generator: torch.Generator) -> None:
    """PyTorch's default weights for convolutions and linear layers, from the generator; norms get their ones and zeros back."""
    for part in module.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm):
            part.reset_parameters()
        if isinstance(part, PositionEmbedding):
            part.vectors.copy_(torch.randn(part.vectors.shape, generator=generator) * 0.02)
        if isinstance(part, nn.Conv2d | nn.Conv3d | nn.Linear):
            bound = 1 / math.sqrt(part.weight[0].numel())
            for weights in (part.weight, part.bias):
                if weights is not None:
                    weights.copy_(
                        torch.rand(weights.shape, generator=generator) * (2 * bound) - bound
                    )
