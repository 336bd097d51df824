"""Draw stored rows as pictures: frames in their colours, log-mels through a colour map."""

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
# The colour map spans this many standard deviations on either side of the training split's mean,
# so that all log-mels of a dataset have one scale.
SPREAD = 2.0


def _draw_frames(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """Draw [T, 3, H, W] as uint8 [H, T * W, 3], the moments side by side."""
    raw = normalisation.undo(stored).round().clamp(0, 255).byte().numpy()
    return np.concatenate(list(raw.transpose(0, 2, 3, 1)), axis=1)


def _draw_logmel(stored: Tensor, normalisation: Normalisation) -> np.ndarray:
    """Draw [1, M, F] as uint8 [M, F, 3], low frequencies at the bottom.

    Stored rows are standardised already, so the normalisation is not used.
    """
    level = ((stored[0].flip(0) / SPREAD).clamp(-1, 1).numpy() + 1) / 2
    stops = np.linspace(0, 1, len(VIRIDIS))
    picture = np.stack([np.interp(level, stops, channel) for channel in VIRIDIS.T], axis=-1)
    return picture.round().astype(np.uint8)


# modality -> its name in texts, and a function that draws one stored row as uint8 [H, W, 3]
PICTURES: dict[str, tuple[str, Callable[[Tensor, Normalisation], np.ndarray]]] = {
    "frame": ("frame", _draw_frames),
    "logmel": ("log-mel", _draw_logmel),
}
