"""The VGG-11 pair (Simonyan & Zisserman, ICLR 2015): normalised 3 x 3 convolutions, one tower per modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.core.params import PositiveInt
from pipeline.models.networks._norm import build_group_norm
from pipeline.models.networks._towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

# Block by block, a pool after each: channels of each convolution, in units of width.
BLOCKS = ((1,), (2,), (4, 4), (8, 8), (8, 8))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Eight blocks of [3 x 3 convolution, group norm, ReLU], max pools between, a global average last.

    The average takes the place of the fifth pool and of the hidden linear layers, as in the small-picture variant of DC (Zhao et
    al., ICLR 2021).

    Args:
        width: channels of the first convolution; published: 64. There are 8 x width features.
    """

    width: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Towers with fresh weights drawn from the generator, of 8 x width features each.

        Args:
            shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        """
        return Towers(
            {modality: self._build_tower(shape[-3]) for modality, shape in shapes.items()},
            shapes,
            generator,
        )

    def _build_tower(self, channels: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for block in BLOCKS:
            for width in (units * self.width for units in block):
                # No bias: the norm would take it away.
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    build_group_norm(width),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            layers.append(RoundedUpPool())
        return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1))


class RoundedUpPool(nn.Module):
    """Max pool 2 x 2, rounded up; a side of two stays two, since of two single values a norm leaves nothing but their order."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2], each side two or more."""
        pooled: Tensor = F.max_pool2d(
            x, [2 if side > 2 else 1 for side in x.shape[-2:]], ceil_mode=True
        )
        return pooled
