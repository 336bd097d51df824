"""The VGG-11 pair (Simonyan & Zisserman, ICLR 2015): 3 x 3 convolutions, each with a norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.core.params import PositiveInt
from pipeline.models.networks._norm import build_group_norm
from pipeline.models.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

# Channels of each block's convolutions, in units of width; a pool follows each block.
BLOCKS = ((1,), (2,), (4, 4), (8, 8), (8, 8))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Eight times [3 x 3 convolution, group norm, ReLU], max pools between, a global average last.

    The average replaces the fifth pool and the hidden linear layers, as in the variant of DC (Zhao
    et al., ICLR 2021) for small pictures.

    Args:
        width: channels of the first convolution; published: 64. There are 8 x width features.
    """

    width: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of 8 x width features each; see `NetworkPlugin.build`."""
        towers = {modality: self._build_tower(shape[-3]) for modality, shape in shapes.items()}
        return Towers(towers, shapes, generator)

    def _build_tower(self, channels: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for block in BLOCKS:
            for width in (units * self.width for units in block):
                # No bias, since the norm would subtract it.
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    build_group_norm(width),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            layers.append(RoundedUpPool())
        return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1))


class RoundedUpPool(nn.Module):
    """Max pool 2 x 2, rounded up; a side of two stays two.

    Of two single values a norm leaves nothing but their order.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2], each side two or more."""
        pooled: Tensor = F.max_pool2d(
            x, [2 if side > 2 else 1 for side in x.shape[-2:]], ceil_mode=True
        )
        return pooled
