"""The towers of a network, one per modality."""

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
    """One tower per modality; they share no weights, so each can be read alone.

    `features` maps each modality to the number of its features.

    Args:
        towers: modality -> module from [B, C, H, W] to maps with the same count for every row.
        shapes: modality -> shape of one row, e.g. frame (T, 3, H, W) and logmel (1, M, F).
        generator: draws the weights.

    Raises:
        CellError: a row is too small for its tower.
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
        """Return the features float32 [N, D] per modality, averaged over the frames of a row.

        Args:
            rows: modality -> normalised rows [N, ..., C, H, W].
        """
        features = {}
        for modality, values in rows.items():
            flat = self.towers[modality](values.flatten(0, -4)).flatten(1)
            features[modality] = flat.reshape(len(values), -1, flat.shape[1]).mean(1)
        return features

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights in place.

        Args:
            generator: draws the weights.
        """
        init_(self.towers, generator)

    @torch.no_grad()
    def _count_features(self, modality: str, shape: tuple[int, ...]) -> int:
        """Count a row's features by one row of zeros."""
        try:
            return int(self.towers[modality](torch.zeros(1, *shape[-3:])).numel())
        except (RuntimeError, ValueError) as error:
            size = f"{modality} rows of {shape[-2]} x {shape[-1]}"
            reason = str(error).splitlines()[0]
            raise CellError(
                f"{size} are too small for this network ({reason}); "
                "take fewer blocks, or decode larger ones"
            ) from error


class GridPool(nn.AdaptiveAvgPool2d):
    """Average pool to a square grid, with the same bits each time on a GPU too.

    On a GPU the layer's own gradients of pixels that windows share are added in any order; there
    the pool is two matrix products.

    Args:
        grid: rows and columns of the result.
    """

    def __init__(self, grid: int) -> None:
        super().__init__(grid)
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, grid, grid]."""
        use_matmul = x.is_cuda and torch.is_grad_enabled()
        return self.pool_by_matmul(x) if use_matmul else super().forward(x)

    def pool_by_matmul(self, x: Tensor) -> Tensor:
        """Pool by multiplying with each line's share in each window.

        Args:
            x: maps [N, C, H, W].
        """
        # Made on x's device: a step that is being recorded can copy nothing from the CPU.
        lines = (torch.eye(side, dtype=x.dtype, device=x.device) for side in x.shape[-2:])
        down, across = (F.adaptive_avg_pool1d(line, self.grid) for line in lines)
        return down.T @ x @ across
