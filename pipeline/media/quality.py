"""What a window is like, measured where it is decoded: level and clipping of its sound, light and motion of its picture, and a
64-bit hash of each by which near-duplicates are found. NumPy alone, for decode workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is measured, in the ledger's order: `rms_db` and `peak` re full scale, `clipped` share of samples, `luma`, `contrast` and
# `motion` in 8-bit levels (mean, standard deviation, mean absolute difference between two frames of the second).
MEASURES = ("rms_db", "peak", "clipped", "sound_hash", "luma", "contrast", "motion", "frame_hash")
# filter -> (measure, whether what lies above the threshold is meant, rather than below); the first that fits is the reason.
FILTERS = {
    "black": ("luma", False),
    "still": ("motion", False),
    "silent": ("rms_db", False),
    "clipping": ("clipped", True),
}
QUIETEST_DB = -120.0
FULL = 0.999  # of full scale: from here on a sample is clipped
# Flatter pictures and quieter sounds have no hash: any two of them would be alike.
FLAT, QUIET_DB = 4.0, -70.0
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
BANDS_HZ = (100.0, 4000.0)  # of the sound's hash

Measured = dict[str, float | str]


def measure_sound(waveform: np.ndarray) -> Measured:
    """Level, peak, share of clipped samples and hash of a mono waveform float32 [rate] of one second, in -1..1."""
    level = np.abs(waveform)
    rms_db = max(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-30), QUIETEST_DB)
    return {
        "rms_db": round(float(rms_db), 2),
        "peak": round(float(level.max(initial=0)), 4),
        "clipped": round(float(np.mean(level >= FULL)), 6),
        "sound_hash": sound_hash(waveform) if rms_db > QUIET_DB else "",
    }


def measure_picture(frame: np.ndarray, other: np.ndarray | None) -> Measured:
    """Light, contrast and hash of a frame u8 [H, W, 3]; how far another frame of its second is from it, if there is one."""
    grey = frame.astype(np.float32) @ LUMA
    moved = (
        {}
        if other is None
        else {"motion": round(float(np.abs(other.astype(np.float32) @ LUMA - grey).mean()), 3)}
    )
    contrast = float(grey.std())
    return {
        "luma": round(float(grey.mean()), 2),
        "contrast": round(contrast, 2),
        **moved,
        "frame_hash": frame_hash(grey) if contrast > FLAT else "",
    }


def apply_filters(measured: Measured, filters: Mapping[Any, float]) -> tuple[str, str]:
    """The first filter that a window falls to, and why; two empty texts if it falls to none."""
    for name, (measure, above) in FILTERS.items():
        value, threshold = measured.get(measure), filters.get(name)
        if (
            threshold is not None
            and isinstance(value, float)
            and (value > threshold if above else value < threshold)
        ):
            return name, f"{measure} {value:g}, {'more' if above else 'less'} than {threshold:g}"
    return "", ""


def frame_hash(grey: np.ndarray) -> str:
    """64 bits in hex: on 8 x 9 block means, whether each is darker than its right neighbour (dHash, Krawetz 2013)."""
    cells = _average_blocks(_average_blocks(grey, 8).T, 9).T
    return _format_hex(cells[:, 1:] > cells[:, :-1])


def sound_hash(waveform: np.ndarray) -> str:
    """64 bits in hex, or nothing: signs of energy differences along time and frequency, 8 x 8 (Haitsma and Kalker, ISMIR 2002)."""
    pieces = waveform[: len(waveform) // 9 * 9].reshape(9, -1)
    power = np.square(np.abs(np.fft.rfft(pieces * np.hanning(pieces.shape[1]), axis=1)))
    edges = np.geomspace(*BANDS_HZ, 10) * pieces.shape[1] / len(waveform)
    low = np.unique(np.clip(np.round(edges).astype(int), 0, power.shape[1] - 1))
    if len(low) < 10:  # a sample rate so low that bands fall together
        return ""
    energy = np.add.reduceat(power, low, axis=1)[:, :9]
    return _format_hex(np.diff(np.diff(energy, axis=1), axis=0) > 0)


def distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits in which hashes differ: uint64 [A] and [B] -> uint8 [A, B]."""
    apart: np.ndarray = np.bitwise_count(one[:, None] ^ others[None, :])
    return apart


def _average_blocks(values: np.ndarray, count: int) -> np.ndarray:
    """Means of `count` bands of rows, as equal as whole rows allow; fewer rows than that are repeated."""
    if len(values) < count:
        values = np.repeat(values, -(-count // len(values)), axis=0)
    edges = np.linspace(0, len(values), count + 1).astype(int)
    means: np.ndarray = np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return means


def _format_hex(bits: np.ndarray) -> str:
    return np.packbits(bits.ravel()).tobytes().hex()
