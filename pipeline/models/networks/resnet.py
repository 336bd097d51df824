"""ResNet-10 and ResNet-18 (He et al., CVPR 2016) with group norm, in a variant for small pictures.

The variant is that of the distillation literature; see `build_residual_tower`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from pipeline.core.params import PositiveInt, PositiveInts
from pipeline.models.networks._norm import build_group_norm, strides_of
from pipeline.models.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch


@dataclass(frozen=True, kw_only=True)
class Network:
    """Stages of width, 2, 4 and 8 x width channels, then the global average.

    Args:
        blocks: blocks per stage; ResNet-10 has (1, 1, 1, 1), ResNet-18 (2, 2, 2, 2).
        width: channels of the first stage; published: 64. There are 8 x width features.
    """

    blocks: PositiveInts
    width: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of 8 x width features each; see `NetworkPlugin.build`."""
        towers = {
            modality: build_residual_tower(shape, self.width, self.blocks)
            for modality, shape in shapes.items()
        }
        return Towers(towers, shapes, generator)


def build_residual_tower(
    shape: tuple[int, ...], width: int, blocks: Sequence[int]
) -> nn.Sequential:
    """Build a tower of a stem, stages of doubling width and a global average.

    It maps [B, C, H, W] to [B, channels of the last stage, 1, 1]. He et al., Deep Residual Learning
    for Image Recognition, CVPR 2016, in the variant of DC (Zhao et al., ICLR 2021): the stem is a
    3 x 3 convolution of stride 1 without a max pool, since a picture of 32 x 32 has no rows to
    lose.

    Args:
        shape: shape of one row, [..., C, H, W].
        width: channels of the first stage.
        blocks: number of blocks per stage.
    """
    sides, channels = shape[-2:], width
    layers: list[nn.Module] = [
        build_convolution(shape[-3], width, 3, (1, 1)),
        build_group_norm(width),
        nn.ReLU(inplace=True),
    ]
    for stage, count in enumerate(blocks):
        strides = strides_of(sides) if stage else (1, 1)
        for block in range(count):
            layers.append(ResidualBlock(channels, width * 2**stage, (1, 1) if block else strides))
            channels = width * 2**stage
        sides = tuple(-(-side // stride) for side, stride in zip(sides, strides, strict=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    The shortcut is a 1 x 1 convolution where the number or the size of the maps changes.

    Args:
        before: channels in.
        after: channels out.
        strides: of the first convolution, over (H, W).
    """

    def __init__(self, before: int, after: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.path = nn.Sequential(
            build_convolution(before, after, 3, strides),
            build_group_norm(after),
            nn.ReLU(inplace=True),
            build_convolution(after, after, 3, (1, 1)),
            build_group_norm(after),
        )
        self.shortcut = nn.Sequential()
        if before != after or max(strides) > 1:
            self.shortcut.extend(
                [build_convolution(before, after, 1, strides), build_group_norm(after)]
            )

    def forward(self, x: Tensor) -> Tensor:
        """[B, before, H, W] -> [B, after, H / stride, W / stride], rounded up."""
        total: Tensor = self.path(x) + self.shortcut(x)
        return total.relu()


def build_convolution(before: int, after: int, side: int, strides: tuple[int, ...]) -> nn.Conv2d:
    """Build a square convolution that keeps the size, but for its strides.

    It has no bias, since the norm after it would subtract it.

    Args:
        before: channels in.
        after: channels out.
        side: of the kernel; odd.
        strides: over (H, W).
    """
    return nn.Conv2d(
        before, after, side, stride=(strides[0], strides[1]), padding=side // 2, bias=False
    )
