"""Many channels to one: the mean that ffmpeg's mix to stereo has, so that nothing clips and stereo is (left + right) / 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Parts of a channel in left + right (ITU-R BS.775: centre and surrounds 3 dB down, no low-frequency effects); the rest count 1.
PARTS = {
    "FC": 2**0.5,
    "BC": 1.0,
    "LFE": 0.0,
    "LFE2": 0.0,
    **dict.fromkeys(("BL", "BR", "SL", "SR"), 0.5**0.5),
}


def mix_to_mono(samples: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """float32 [C, n] -> float32 [n]: the weighted mean, its weights of sum 1."""
    if len(samples) == 1:
        return np.ascontiguousarray(samples[0], dtype=np.float32)
    known = len(channels) == len(samples)
    parts = np.array(
        [PARTS.get(name, 1.0) for name in channels] if known else [1.0] * len(samples), np.float32
    )
    return np.asarray(np.tensordot(parts / parts.sum(), samples, axes=1), dtype=np.float32)
