"""Group norm and strides of the convolutional towers."""

from __future__ import annotations

from torch import nn


def build_group_norm(channels: int) -> nn.GroupNorm:
    """Build a group norm (Wu and He, ECCV 2018) with two channels per group.

    It has no running statistics. So a row's features do not depend on the rows beside it, a batch
    may be small, and many networks train together under torch.func.vmap, where batch norm would
    have to update its buffers in place. Instance norm, with one channel per group, fixes the mean
    of every map, which is just what a global average reads: with it VGG-11 stays near chance on
    real clips.

    Args:
        channels: of the maps.
    """
    return nn.GroupNorm(max(channels // 2, 1), channels)


def strides_of(sides: tuple[int, ...]) -> tuple[int, ...]:
    """Return stride 2 for each side longer than two, else 1.

    A side of two stays two: of two single values a norm leaves nothing but their order.

    Args:
        sides: of the maps, e.g. (H, W).
    """
    return tuple(2 if side > 2 else 1 for side in sides)
