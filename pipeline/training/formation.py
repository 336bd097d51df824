"""Multi-formation ("factor"): a stored instance holds a grid of smaller training instances.

Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022 (IDC). As
in AVDD (TMLR 2024), the pieces are read column by column, enlarged bilinearly, and paired across
modalities by their index. Where one modality has fewer pieces than another, its pieces are repeated
in their order, which is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.core.records import SyntheticSet

Grid = tuple[int, int]


def count_pieces(formation: Mapping[str, Grid]) -> int:
    """Return the number of training instances per stored one: the pieces of the finest grid.

    Args:
        formation: modality -> (rows, columns) of its grid.

    Raises:
        CellError: a coarser grid's number of pieces does not divide that of the finest.
    """
    counts = {modality: rows * columns for modality, (rows, columns) in formation.items()}
    most = max(counts.values())
    if odd := [modality for modality, count in counts.items() if most % count]:
        raise CellError(
            f"formation {dict(formation)} pairs pieces by index, and the {counts[odd[0]]} of "
            f"{odd[0]} do not divide {most}; "
            "give each modality the same number of them, or a part of it"
        )
    return most


def decode(
    synthetic: SyntheticSet,
) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """Return the rows, labels and soft labels of the training instances of a synthetic set.

    Args:
        synthetic: the set.

    Returns:
        Rows [count * N, ..., H, W] per modality, labels int64 [count * N], and soft labels
        [count * N, classes] per modality, empty if there are none.
    """
    count = count_pieces(synthetic.formation)
    rows = {m: split(stored, synthetic.formation[m], count) for m, stored in synthetic.rows.items()}
    soft = {
        m: flatten_pieces(stored, synthetic.formation[m], count)
        for m, stored in synthetic.soft_label.items()
    }
    return rows, synthetic.label.repeat(count), soft


def split(rows: Tensor, grid: Grid, count: int | None = None) -> Tensor:
    """Return the training instances [count * N, ..., H, W] of stored ones, piece by piece.

    Args:
        rows: stored instances [N, ..., H, W].
        grid: rows and columns of pieces.
        count: pieces of the whole set, see `count_pieces`; the grid's are repeated up to it. By
            default those of the grid.
    """
    if grid != (1, 1):
        cells = [cell for column in rows.chunk(grid[1], -1) for cell in column.chunk(grid[0], -2)]
        rows = _resize(torch.cat(cells), rows.shape[-2], rows.shape[-1])
    return repeat_pieces(rows, grid, count or grid[0] * grid[1])


def repeat_pieces(values: Tensor, grid: Grid, count: int) -> Tensor:
    """Return [count * N, ...]: the pieces of a grid, repeated in their order.

    Args:
        values: [pieces * N, ...], piece by piece.
        grid: rows and columns of pieces.
        count: a multiple of the grid's pieces.
    """
    times = count // (grid[0] * grid[1])
    return values if times == 1 else values.repeat(times, *[1] * (values.ndim - 1))


def flatten_pieces(values: Tensor, grid: Grid, count: int) -> Tensor:
    """Return [count * N, ...]: values of pieces in the order of `split`.

    Args:
        values: [N, pieces, ...], e.g. soft labels of each stored instance's pieces.
        grid: rows and columns of pieces.
        count: a multiple of the grid's pieces.
    """
    return repeat_pieces(values.transpose(0, 1).flatten(0, 1), grid, count)


def join(instances: Tensor, grid: Grid) -> Tensor:
    """Return the stored instances [N, ..., H, W] of training ones, each shrunk to its cell.

    Args:
        instances: training instances [pieces * N, ..., H, W], piece by piece.
        grid: rows and columns of pieces.

    Raises:
        CellError: the grid does not divide the sides.
    """
    if grid == (1, 1):
        return instances
    high, wide = instances.shape[-2:]
    if high % grid[0] or wide % grid[1]:
        raise CellError(
            f"a grid of {grid[0]} x {grid[1]} pieces does not divide {high} x {wide}; "
            "change the formation or the sizes"
        )
    cells = _resize(instances, high // grid[0], wide // grid[1]).chunk(grid[0] * grid[1])
    columns = [torch.cat(cells[i * grid[0] : (i + 1) * grid[0]], -2) for i in range(grid[1])]
    return torch.cat(columns, -1)


def _resize(rows: Tensor, high: int, wide: int) -> Tensor:
    if rows.is_cuda and rows.requires_grad:
        return resize_by_matmul(rows, high, wide)
    # Flat, since frames [N, T, 3, H, W] have one dimension more than F.interpolate takes.
    resized = F.interpolate(rows.flatten(0, -4), (high, wide), mode="bilinear", align_corners=False)
    return resized.reshape(*rows.shape[:-2], high, wide)


def resize_by_matmul(rows: Tensor, high: int, wide: int) -> Tensor:
    """Resize bilinearly by two matrix products, whose gradients have the same bits each time.

    A GPU adds the gradients of F.interpolate in any order.

    Args:
        rows: [..., H, W].
        high: lines of the result.
        wide: columns of the result.
    """
    down, across = (
        F.interpolate(
            torch.eye(side, device=rows.device)[None], size, mode="linear", align_corners=False
        )[0]
        for side, size in zip(rows.shape[-2:], (high, wide), strict=True)
    )
    return down.T @ rows @ across
