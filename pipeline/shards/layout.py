"""TODO from pipeline/shards.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import ShardError

if TYPE_CHECKING:
    from pathlib import Path


def _move_channels_first(array: np.ndarray) -> np.ndarray:
    """Frame [T, H, W, 3] -> [T, 3, H, W]; logmel [M, F] -> [1, M, F], wave [n] -> [1, n]: on disk pictures end in channels."""
    return np.moveaxis(array, -1, -3) if array.ndim > 2 else array[None]


def move_channels_last(row: np.ndarray) -> np.ndarray:
    """Frame [T, 3, H, W] -> [T, H, W, 3]; logmel [1, M, F] -> [M, F]: a row as shards hold it."""
    return np.moveaxis(row, -3, -1) if row.ndim > 3 else row[0]


def _refuse_not_finite(array: np.ndarray, modality: str, key: str, place: Path) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        told = f"{place}: {modality} of sample {key} holds NaN or infinite values"
        raise ShardError(f"{told}; take its clip off the manifest and run `avdistill decode` again")
