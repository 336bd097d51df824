"""Initial weights of every network and head, drawn from a generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PositionEmbedding(nn.Module):
    """Add a learned vector to each token.

    The vectors start from N(0, 0.02) as in ViT (Dosovitskiy et al., ICLR 2021).

    Args:
        tokens: number of tokens in a row.
        width: numbers per token.
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> [B, tokens, width]."""
        return x + self.vectors


@torch.no_grad()
def init_(module: nn.Module, generator: torch.Generator) -> None:
    """Initialise a module in place, with PyTorch's default distributions.

    Weights and biases of convolutions and linear layers are uniform within 1 / sqrt(fan in);
    norms are reset to ones and zeros.

    Args:
        module: a network, a head or a part of one.
        generator: draws the weights, layer by layer in the order of `module.modules()`.
    """
    for layer in module.modules():
        if isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            layer.reset_parameters()
        if isinstance(layer, PositionEmbedding):
            layer.vectors.copy_(torch.randn(layer.vectors.shape, generator=generator) * 0.02)
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for weights in (layer.weight, layer.bias):
                if weights is not None:
                    uniform = torch.rand(weights.shape, generator=generator)
                    weights.copy_(uniform * (2 * bound) - bound)
