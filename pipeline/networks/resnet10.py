"""The ResNet-10 pair: four stages of one block each, group norm, one tower per modality (He et al., CVPR 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.networks._residual import residual
from pipeline.networks._towers import Towers
from pipeline.params import Count

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


@dataclass(frozen=True, kw_only=True)
class Network:
    """Stages of width, 2, 4 and 8 x width channels, then the global average, so there are 8 x width features.

    Args:
        width: channels of the first stage; published: 64.
    """

    width: Count

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Towers with fresh weights drawn from the generator, of 8 x width features each.

        Args:
            shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        """
        towers = {modality: residual(shape, self.width, (1, 1, 1, 1)) for modality, shape in shapes.items()}
        return Towers(towers, shapes, generator)
