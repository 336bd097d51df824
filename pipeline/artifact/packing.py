"""How rows are stored: as they are, rounded, or as whole numbers 0..255 with a step and an offset of the modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKING = "packing"
LEVELS = 255


def pack(rows: np.ndarray, storage: str) -> tuple[np.ndarray, dict[str, float]]:
    """Rows float32 -> (rows as they are stored, {} or `scale` and `offset`: row = stored * scale + offset)."""
    kind = np.dtype(storage)
    if kind.kind == "f":
        return rows.astype(kind), {}
    low, high = float(rows.min()), float(rows.max())
    scale = (high - low) / LEVELS or 1.0
    return np.rint((rows - low) / scale).astype(kind), {"scale": scale, "offset": low}


def unpack(
    columns: Mapping[str, np.ndarray], about: Mapping[str, Any], names: list[str]
) -> dict[str, np.ndarray]:
    """The columns, those of these names as float32 in the networks' units."""
    return {
        **columns,
        **{name: _dequantise(columns[name], about.get(PACKING, {}).get(name)) for name in names},
    }


def _dequantise(stored: np.ndarray, packing: Mapping[str, float] | None) -> np.ndarray:
    rows = stored.astype(np.float32)
    return (
        rows
        if packing is None
        else rows * np.float32(packing["scale"]) + np.float32(packing["offset"])
    )
