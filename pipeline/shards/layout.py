"""The layout of arrays on disk, where pictures end in channels, and in memory, channels first."""

from __future__ import annotations

import numpy as np


def move_channels_first(array: np.ndarray) -> np.ndarray:
    """Return a stored array as a row in memory.

    Args:
        array: frame [T, H, W, 3] -> [T, 3, H, W]; logmel [M, F] -> [1, M, F]; wave [n] -> [1, n].
    """
    return np.moveaxis(array, -1, -3) if array.ndim > 2 else array[None]


def move_channels_last(row: np.ndarray) -> np.ndarray:
    """Return a row in memory as an array to store.

    Args:
        row: frame [T, 3, H, W] -> [T, H, W, 3]; logmel [1, M, F] -> [M, F]; wave [1, n] -> [n].
    """
    return np.moveaxis(row, -3, -1) if row.ndim > 3 else row[0]
