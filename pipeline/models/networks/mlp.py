"""The multilayer perceptron of DC (Zhao et al., ICLR 2021): rows as they are, flat; for stored vectors it is the student."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from pipeline.core.params import PositiveInt
from pipeline.models.networks._towers import Towers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Network:
    """`width` of each of `depth` layers [linear, ReLU]; the features are the last one's."""

    width: PositiveInt
    depth: PositiveInt

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Towers with fresh weights drawn from the generator, of `width` features each.

        Args:
            shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        """
        return Towers(
            {
                modality: self._build_tower(math.prod(shape[-3:]))
                for modality, shape in shapes.items()
            },
            shapes,
            generator,
        )

    def _build_tower(self, numbers: int) -> nn.Sequential:
        widths = [numbers, *[self.width] * self.depth]
        layers = [
            nn.Sequential(nn.Linear(before, self.width), nn.ReLU(inplace=True))
            for before in widths[:-1]
        ]
        return nn.Sequential(nn.Flatten(), *layers)
