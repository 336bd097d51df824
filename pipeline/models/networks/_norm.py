"""Group norm and strides that the convolutional towers share."""

from __future__ import annotations

from torch import nn


def build_group_norm(channels: int) -> nn.GroupNorm:
    """Group norm (Wu and He, ECCV 2018) over two channels each: it has no running statistics.

    So a row's features do not depend on the rows beside it, a batch may be small, and many networks train together under
    torch.func.vmap, where batch norm would have to update its buffers in place. Instance norm, one channel each, fixes the mean of
    every map, which is just what a global average reads: with it VGG-11 stays near chance on real clips.
    """
    return nn.GroupNorm(max(channels // 2, 1), channels)


def strides_of(sides: tuple[int, ...]) -> tuple[int, ...]:
    """Two for each side that can be halved and leave two or more: of two single values, a norm leaves nothing but their order."""
    return tuple(2 if side > 2 else 1 for side in sides)
