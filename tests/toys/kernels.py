"""A block of the ConvNet, and how far two tensors are apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.models.networks.convnet import HalvingPool


def convnet_block(channels: int, width: int, padding: int, grid: int | None) -> nn.Sequential:
    """Convolution, instance norm, ReLU and a halving or adaptive pool, without gradients."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=padding),
        nn.GroupNorm(width, width),
        nn.ReLU(),
        HalvingPool() if grid is None else nn.AdaptiveAvgPool2d(grid),
    ).requires_grad_(False)
    layers[1].weight.uniform_(0.5, 1.5)
    layers[1].bias.uniform_(-0.5, 0.5)
    return layers


def apart(found: Tensor, expected: Tensor) -> float:
    """Relative, by the norm."""
    return ((found.double().cpu() - expected.cpu()).norm() / expected.norm()).item()
