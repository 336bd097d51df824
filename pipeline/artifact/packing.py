"""Convert rows to their stored type and back: float32, float16, or quantised to uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKING = "packing"
LEVELS = 255


def pack(rows: np.ndarray, storage: str) -> tuple[np.ndarray, dict[str, float]]:
    """Convert the rows of one modality to the type in which they are stored.

    Args:
        rows: float32 [N, ...].
        storage: float32, float16 or uint8.

    Returns:
        The stored rows, and how uint8 is undone: row = stored * scale + offset. Floats need
        nothing, {}.

    Example:
        stored, packing = pack(rows, "uint8")  # packing: {"scale": 0.02, "offset": -2.5}
    """
    kind = np.dtype(storage)
    if kind.kind == "f":
        return rows.astype(kind), {}
    low, high = float(rows.min()), float(rows.max())
    scale = (high - low) / LEVELS or 1.0
    return np.rint((rows - low) / scale).astype(kind), {"scale": scale, "offset": low}


def unpack(
    columns: Mapping[str, np.ndarray], about: Mapping[str, Any], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Convert stored rows to float32 in the networks' normalised units.

    Args:
        columns: all columns as they are stored.
        about: the attributes; `packing` has scale and offset of each uint8 modality.
        names: the columns to convert; the others are returned unchanged.

    Example:
        columns = unpack(stored, {"packing": {"frame": packing}}, ["frame"])
    """
    packing = about.get(PACKING, {})
    rows = {name: _dequantise(columns[name], packing.get(name)) for name in names}
    return {**columns, **rows}


def _dequantise(stored: np.ndarray, packing: Mapping[str, float] | None) -> np.ndarray:
    rows = stored.astype(np.float32)
    if packing is None:
        return rows
    return rows * np.float32(packing["scale"]) + np.float32(packing["offset"])
