"""What networks share: one tower per modality, and weights drawn from a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import CellError
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from collections.abc import Mapping


class Towers(nn.Module):
    """One tower per modality; they share nothing, so that each can be read alone.

    Args:
        towers: modality -> module from [B, C, H, W] to anything that flattens to the same numbers per row.
        shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        generator: draws the weights.
    """

    def __init__(
        self,
        towers: Mapping[str, nn.Module],
        shapes: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.initialise(generator)
        self.features = {
            modality: self._count_features(modality, shape) for modality, shape in shapes.items()
        }

    def embed(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows [N, ..., C, H, W] -> features [N, D] per modality, averaged over the frames of a row."""
        features = {}
        for modality, values in rows.items():
            flat = self.towers[modality](values.flatten(0, -4)).flatten(1)
            features[modality] = flat.reshape(len(values), -1, flat.shape[1]).mean(1)
        return features

    @torch.no_grad()
    def _count_features(self, modality: str, shape: tuple[int, ...]) -> int:
        """Numbers per row, by way of one blank row; a row that the tower cannot take is a CellError."""
        try:
            return int(self.towers[modality](torch.zeros(1, *shape[-3:])).numel())
        except (RuntimeError, ValueError) as error:
            raise CellError(
                f"{modality} rows of {shape[-2]} x {shape[-1]} are too small for this network ({str(error).splitlines()[0]}); "
                "take fewer blocks, or decode larger ones"
            ) from error

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew, in place."""
        init_(self.towers, generator)


class GridPool(nn.AdaptiveAvgPool2d):
    """Average pool to a grid; on a GPU as two products, for slopes of pixels that windows share are added in any order there."""

    def __init__(self, grid: int) -> None:
        super().__init__(grid)
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, grid, grid]."""
        return (
            self.pool_by_matmul(x) if x.is_cuda and torch.is_grad_enabled() else super().forward(x)
        )

    def pool_by_matmul(self, x: Tensor) -> Tensor:
        """The same, a line's share in each window times the lines."""
        # Made where x is: a step that is being recorded can copy nothing from the CPU.
        lines = (torch.eye(side, dtype=x.dtype, device=x.device) for side in x.shape[-2:])
        down, across = (F.adaptive_avg_pool1d(line, self.grid) for line in lines)
        return down.T @ x @ across
