"""R(2+1)D (Tran et al., CVPR 2018): convolutions over space, each followed by one over time.

There are four stages of one block each, fewer than the 18 layers of CCL (Chen et al., CVPR 2021):
with width 64 they have 14.4 million weights. A log-mel is a clip of one frame. Norms are group
norms, and a side of two or less is not halved, as in `_norm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from pipeline.core.params import PositiveInt
from pipeline.models.networks._norm import build_group_norm, strides_of
from pipeline.models.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

STAGES = 4


@dataclass(frozen=True, kw_only=True)
class Network:
    """Four stages of width, 2, 4 and 8 x width channels, then the global average.

    Args:
        width: channels of the first stage; published: 64. There are 8 x width features.
    """

    width: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of 8 x width features each; see `NetworkPlugin.build`."""
        towers = {modality: VideoTower(shape, self.width) for modality, shape in shapes.items()}
        return VideoTowers(towers, shapes, generator)


class VideoTowers(Towers):
    """Towers that take all frames of a row at once."""

    def embed(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows [N, ..., C, H, W] -> features [N, D] per modality."""
        return {modality: self.towers[modality](values) for modality, values in rows.items()}


class VideoTower(nn.Module):
    """A stem and four stages, then the global average of the last.

    Args:
        shape: shape of one row, [T, C, H, W] or [C, H, W].
        width: channels of the first stage.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        sides = (shape[-4] if len(shape) == 4 else 1, *shape[-2:])
        strides = (1, *strides_of(sides[1:]))
        self.stem = nn.Sequential(
            build_factored_convolution(shape[-3], width, 3, 7, strides),
            build_group_norm(width),
            nn.ReLU(inplace=True),
        )
        self.blocks, before = nn.Sequential(), width
        for stage in range(STAGES):
            sides = tuple(-(-side // stride) for side, stride in zip(sides, strides, strict=True))
            strides = strides_of(sides) if stage else (1, 1, 1)
            self.blocks.append(FactoredBlock(before, width * 2**stage, strides))
            before = width * 2**stage

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W], or [B, C, H, W] for clips of one frame -> [B, 8 x width]."""
        clips = (x if x.ndim == 5 else x[:, None]).transpose(1, 2)
        features: Tensor = self.blocks(self.stem(clips))
        return features.mean((2, 3, 4))


class FactoredBlock(nn.Module):
    """Two factored 3 x 3 x 3 convolutions beside a shortcut.

    The shortcut is a 1 x 1 x 1 convolution where the number or the size of the maps changes.

    Args:
        before: channels in.
        after: channels out.
        strides: of the first convolution, over (T, H, W).
    """

    def __init__(self, before: int, after: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.path = nn.Sequential(
            build_factored_convolution(before, after, 3, 3, strides),
            build_group_norm(after),
            nn.ReLU(inplace=True),
            build_factored_convolution(after, after, 3, 3, (1, 1, 1)),
            build_group_norm(after),
        )
        self.shortcut = nn.Sequential()
        if before != after or max(strides) > 1:
            self.shortcut.extend(
                [build_convolution(before, after, (1, 1, 1), strides), build_group_norm(after)]
            )

    def forward(self, x: Tensor) -> Tensor:
        """[B, before, T, H, W] -> [B, after, T / stride, H / stride, W / stride], rounded up."""
        total: Tensor = self.path(x) + self.shortcut(x)
        return total.relu()


def build_factored_convolution(
    before: int, after: int, times: int, side: int, strides: tuple[int, ...]
) -> nn.Sequential:
    """Build a times x side x side convolution as one over space, a norm, a ReLU and one over time.

    The number of maps between them gives both together as many weights as the whole one has. It is
    rounded down to an even number, since norms have groups of two channels.

    Args:
        before: channels in.
        after: channels out.
        times: length of the kernel in time.
        side: length of the kernel in space.
        strides: over (T, H, W).
    """
    space = side**2
    between = times * space * before * after // (space * before + times * after) // 2 * 2
    return nn.Sequential(
        build_convolution(before, between, (1, side, side), (1, *strides[1:])),
        build_group_norm(between),
        nn.ReLU(inplace=True),
        build_convolution(between, after, (times, 1, 1), (strides[0], 1, 1)),
    )


def build_convolution(
    before: int, after: int, sides: tuple[int, ...], strides: tuple[int, ...]
) -> nn.Conv3d:
    """Build a convolution that keeps the size, but for its strides.

    It has no bias, since the norm after it would subtract it.

    Args:
        before: channels in.
        after: channels out.
        sides: of the kernel, over (T, H, W); odd.
        strides: over (T, H, W).
    """
    time, high, wide = (side // 2 for side in sides)
    return nn.Conv3d(
        before,
        after,
        _to_triple(sides),
        stride=_to_triple(strides),
        padding=(time, high, wide),
        bias=False,
    )


def _to_triple(numbers: tuple[int, ...]) -> tuple[int, int, int]:
    time, high, wide = numbers
    return time, high, wide
