"""Multi-formation ("factor"): one stored instance holds a grid of smaller pieces, each of them a training instance.

Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022 (IDC); as in AVDD (TMLR 2024) the pieces
are read column by column, enlarged bilinearly, and paired across modalities by their index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping

Grid = tuple[int, int]


def pieces(formation: Mapping[str, Grid]) -> int:
    """Training instances per stored one; modalities whose grids differ in that number are a CellError."""
    counts = {rows * columns for rows, columns in formation.values()}
    if len(counts) != 1:
        raise CellError(f"formation {dict(formation)} pairs pieces by index, so all modalities need the same number of them")
    return counts.pop()


def split(rows: Tensor, grid: Grid) -> Tensor:
    """Stored [N, ..., H, W] -> training instances [pieces * N, ..., H, W], piece by piece."""
    if grid == (1, 1):
        return rows
    cells = [cell for column in rows.chunk(grid[1], -1) for cell in column.chunk(grid[0], -2)]
    return _resized(torch.cat(cells), rows.shape[-2], rows.shape[-1])


def join(instances: Tensor, grid: Grid) -> Tensor:
    """Training instances [pieces * N, ..., H, W] -> stored [N, ..., H, W]: each is made smaller and takes its cell."""
    if grid == (1, 1):
        return instances
    high, wide = instances.shape[-2:]
    if high % grid[0] or wide % grid[1]:
        raise CellError(
            f"a grid of {grid[0]} x {grid[1]} pieces does not divide {high} x {wide}; change the formation or the sizes"
        )
    cells = _resized(instances, high // grid[0], wide // grid[1]).chunk(grid[0] * grid[1])
    columns = [torch.cat(cells[i * grid[0] : (i + 1) * grid[0]], -2) for i in range(grid[1])]
    return torch.cat(columns, -1)


def _resized(rows: Tensor, high: int, wide: int) -> Tensor:
    flat = rows.flatten(0, -4)  # frames [N, T, 3, H, W] have one dimension more than F.interpolate takes
    return F.interpolate(flat, (high, wide), mode="bilinear", align_corners=False).reshape(*rows.shape[:-2], high, wide)
