"""What networks share: one tower per modality, and weights drawn from a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pipeline.weights import draw

if TYPE_CHECKING:
    from collections.abc import Mapping


class Towers(nn.Module):
    """One tower per modality; they share nothing, so that each can be read alone.

    Args:
        towers: modality -> module from [B, C, H, W] to anything that flattens to the same numbers per row.
        shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        generator: draws the weights.
    """

    def __init__(self, towers: Mapping[str, nn.Module], shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.initialise(generator)
        with torch.no_grad():
            self.features = {m: self.towers[m](torch.zeros(1, *shape[-3:])).numel() for m, shape in shapes.items()}

    def embed(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows [N, ..., C, H, W] -> features [N, D] per modality, averaged over the frames of a row."""
        features = {}
        for modality, values in rows.items():
            flat = self.towers[modality](values.flatten(0, -4)).flatten(1)
            features[modality] = flat.reshape(len(values), -1, flat.shape[1]).mean(1)
        return features

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew, in place."""
        draw(self.towers, generator)
