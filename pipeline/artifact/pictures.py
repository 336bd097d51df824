"""Stored rows as pictures: frames in their colours, log-mels through a colour map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.core.records import Normalisation

# Five stops of viridis, dark to bright.
VIRIDIS = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], dtype=np.float64
)
# Log-mels are drawn over this many standard deviations to either side of the training split's mean: one scale for a whole dataset.
SPREAD = 2.0


def _draw_frames(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """[T, 3, H, W] -> u8 [H, T * W, 3], one moment beside the other."""
    raw = normalisation.undo(stored).round().clamp(0, 255).byte().numpy()
    return np.concatenate(list(raw.transpose(0, 2, 3, 1)), axis=1)


def _draw_logmel(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """[1, M, F], which is standardised already, -> u8 [M, F, 3] with low frequencies at the bottom."""
    place = ((stored[0].flip(0) / SPREAD).clamp(-1, 1).numpy() + 1) / 2
    stops = np.linspace(0, 1, len(VIRIDIS))
    return (
        np.stack([np.interp(place, stops, channel) for channel in VIRIDIS.T], axis=-1)
        .round()
        .astype(np.uint8)
    )


# modality -> what it is called, and how one stored row of it becomes a picture u8 [H, W, 3]
PICTURES: dict[str, tuple[str, Callable[[Tensor, Normalisation], np.ndarray]]] = {
    "frame": ("frame", _draw_frames),
    "logmel": ("log-mel", _draw_logmel),
}
