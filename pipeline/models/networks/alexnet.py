"""The AlexNet pair (Krizhevsky et al., NeurIPS 2012) in a variant for small pictures.

The variant is that of DC (Zhao et al., ICLR 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from pipeline.core.params import PositiveInt
from pipeline.models.towers import GridPool, Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

# Per convolution: channels in units of width, side of the kernel, whether a max pool of 2 follows.
LAYERS = ((2, 5, True), (3, 5, True), (4, 3, False), (3, 3, False), (3, 3, True))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Five convolutions of stride 1 without a norm, with max pools of 2; the last pool is adaptive.

    They have 2, 3, 4, 3 and 3 x width channels.

    Args:
        width: unit of the channels; published: 64, that is 128, 192, 256, 192, 192.
        grid: side of the last pool, so there are 3 * width * grid^2 features; published: 4, the
            side that is left of 32 x 32.
    """

    width: PositiveInt
    grid: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of 3 * width * grid^2 features each; see `NetworkPlugin.build`."""
        towers = {modality: self._build_tower(shape[-3]) for modality, shape in shapes.items()}
        return Towers(towers, shapes, generator)

    def _build_tower(self, channels: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for units, side, pooled in LAYERS:
            layers += [
                nn.Conv2d(channels, units * self.width, side, padding=side // 2),
                nn.ReLU(inplace=True),
            ]
            channels = units * self.width
            if pooled:  # rounded up, so that a side of one stays one
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
        return nn.Sequential(*layers, GridPool(self.grid))
