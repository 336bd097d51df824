"""The multilayer perceptron of DC (Zhao et al., ICLR 2021) on flattened rows.

For stored vectors it is the student.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from pipeline.core.params import PositiveInt
from pipeline.models.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Network:
    """Layers of [linear, ReLU]; the features are those of the last one.

    Args:
        width: units of each layer, and features.
        depth: number of layers.
    """

    width: PositiveInt
    depth: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of `width` features each; see `NetworkPlugin.build`."""
        towers = {
            modality: self._build_tower(math.prod(shape[-3:])) for modality, shape in shapes.items()
        }
        return Towers(towers, shapes, generator)

    def _build_tower(self, inputs: int) -> nn.Sequential:
        widths = [inputs, *[self.width] * self.depth]
        layers = [
            nn.Sequential(nn.Linear(before, self.width), nn.ReLU(inplace=True))
            for before in widths[:-1]
        ]
        return nn.Sequential(nn.Flatten(), *layers)
