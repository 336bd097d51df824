"""Multi-formation ("factor"): one stored instance holds a grid of smaller pieces, each of them a training instance.

Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022 (IDC); as in AVDD (TMLR 2024) the pieces
are read column by column, enlarged bilinearly, and paired across modalities by their index; where one modality has fewer pieces
than another, its pieces are paired again and again, which is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping

Grid = tuple[int, int]


def count_pieces(formation: Mapping[str, Grid]) -> int:
    """Training instances per stored one: the pieces of the finest grid.

    A coarser grid's pieces are repeated in their order, so its number must divide that; a CellError otherwise.
    """
    counts = {modality: rows * columns for modality, (rows, columns) in formation.items()}
    most = max(counts.values())
    if odd := [modality for modality, count in counts.items() if most % count]:
        raise CellError(
            f"formation {dict(formation)} pairs pieces by index, and the {counts[odd[0]]} of {odd[0]} do not divide {most}; "
            "give each modality the same number of them, or a part of it"
        )
    return most


def split(rows: Tensor, grid: Grid, count: int | None = None) -> Tensor:
    """Stored [N, ..., H, W] -> training instances [pieces * N, ..., H, W], piece by piece.

    Args:
        count: as many pieces as the set has, see `pieces`: the grid's own are repeated up to it.
    """
    if grid != (1, 1):
        cells = [cell for column in rows.chunk(grid[1], -1) for cell in column.chunk(grid[0], -2)]
        rows = _resize(torch.cat(cells), rows.shape[-2], rows.shape[-1])
    return repeat_pieces(rows, grid, count or grid[0] * grid[1])


def repeat_pieces(values: Tensor, grid: Grid, count: int) -> Tensor:
    """Piece by piece [pieces * N, ...] of a grid -> [count * N, ...], the pieces again and again in their order."""
    times = count // (grid[0] * grid[1])
    return values if times == 1 else values.repeat(times, *[1] * (values.ndim - 1))


def flatten_pieces(values: Tensor, grid: Grid, count: int) -> Tensor:
    """What is said of each piece of each stored instance [N, pieces of the grid, ...] -> of training instances [count * N, ...]."""
    return repeat_pieces(values.transpose(0, 1).flatten(0, 1), grid, count)


def join(instances: Tensor, grid: Grid) -> Tensor:
    """Training instances [pieces * N, ..., H, W] -> stored [N, ..., H, W]: each is made smaller and takes its cell."""
    if grid == (1, 1):
        return instances
    high, wide = instances.shape[-2:]
    if high % grid[0] or wide % grid[1]:
        raise CellError(
            f"a grid of {grid[0]} x {grid[1]} pieces does not divide {high} x {wide}; change the formation or the sizes"
        )
    cells = _resize(instances, high // grid[0], wide // grid[1]).chunk(grid[0] * grid[1])
    columns = [torch.cat(cells[i * grid[0] : (i + 1) * grid[0]], -2) for i in range(grid[1])]
    return torch.cat(columns, -1)


def _resize(rows: Tensor, high: int, wide: int) -> Tensor:
    if rows.is_cuda and rows.requires_grad:
        return resize_by_matmul(rows, high, wide)
    flat = rows.flatten(
        0, -4
    )  # frames [N, T, 3, H, W] have one dimension more than F.interpolate takes
    return F.interpolate(flat, (high, wide), mode="bilinear", align_corners=False).reshape(
        *rows.shape[:-2], high, wide
    )


def resize_by_matmul(rows: Tensor, high: int, wide: int) -> Tensor:
    """Bilinear resizing as two products, whose slopes have the same bits each time.

    A GPU adds those of F.interpolate in any order.
    """
    down, across = (
        F.interpolate(
            torch.eye(side, device=rows.device)[None], size, mode="linear", align_corners=False
        )[0]
        for side, size in zip(rows.shape[-2:], (high, wide), strict=True)
    )
    return down.T @ rows @ across
