"""Mix many channels to one by the weights of ffmpeg's stereo mix.

The weights have sum 1, so nothing clips, and stereo becomes (left + right) / 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Weight of a channel in left + right (ITU-R BS.775: centre and surrounds 3 dB down, no
# low-frequency effects). Channels that are not listed weigh 1.
WEIGHTS = {
    "FC": 2**0.5,
    "BC": 1.0,
    "LFE": 0.0,
    "LFE2": 0.0,
    **dict.fromkeys(("BL", "BR", "SL", "SR"), 0.5**0.5),
}


def mix_to_mono(samples: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Return the weighted mean of the channels, float32 [n].

    Args:
        samples: float32 [C, n].
        channels: FFmpeg's name of each channel; unless there are C names, all weigh the same.
    """
    if len(samples) == 1:
        return np.ascontiguousarray(samples[0], dtype=np.float32)
    named = len(channels) == len(samples)
    weights = np.array(
        [WEIGHTS.get(name, 1.0) for name in channels] if named else [1.0] * len(samples), np.float32
    )
    return np.asarray(np.tensordot(weights / weights.sum(), samples, axes=1), dtype=np.float32)
