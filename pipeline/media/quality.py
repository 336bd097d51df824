"""Measure a window's quality: level and clipping of its sound, light and motion of its picture.

A 64-bit hash of each finds near-duplicates. NumPy alone, so that decode workers can run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

# Measures in the order of the ledger. `rms_db` and `peak` are relative to full scale. `clipped`
# is a share of samples. `luma`, `contrast` and `motion` are 8-bit levels: mean, standard deviation,
# mean absolute difference between two frames of the second.
MEASURES = ("rms_db", "peak", "clipped", "sound_hash", "luma", "contrast", "motion", "frame_hash")
# filter -> (measure, whether values above the threshold are rejected, not those below).
FILTERS = {
    "black": ("luma", False),
    "still": ("motion", False),
    "silent": ("rms_db", False),
    "clipping": ("clipped", True),
}
MIN_DB = -120.0
CLIPPED = 0.999  # a sample from this share of full scale on is clipped
# Flatter pictures and quieter sounds have no hash: any two of them would be alike.
MIN_CONTRAST, MIN_HASHED_DB = 4.0, -70.0
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
BANDS_HZ = (100.0, 4000.0)  # range of the sound's hash

Measurements = dict[str, float | str]


def measure_sound(waveform: np.ndarray) -> Measurements:
    """Measure level, peak, share of clipped samples and hash of one second of sound.

    Args:
        waveform: mono float32 [rate] in -1..1.
    """
    level = np.abs(waveform)
    rms_db = max(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-30), MIN_DB)
    return {
        "rms_db": round(float(rms_db), 2),
        "peak": round(float(level.max(initial=0)), 4),
        "clipped": round(float(np.mean(level >= CLIPPED)), 6),
        "sound_hash": sound_hash(waveform) if rms_db > MIN_HASHED_DB else "",
    }


def measure_picture(frame: np.ndarray, other: np.ndarray | None) -> Measurements:
    """Measure light, contrast and hash of a frame, and its motion if there is another frame.

    Args:
        frame: u8 [H, W, 3].
        other: another frame of the same second, u8 [H, W, 3], or None.
    """
    grey = frame.astype(np.float32) @ LUMA
    motion = {}
    if other is not None:
        difference = np.abs(other.astype(np.float32) @ LUMA - grey)
        motion = {"motion": round(float(difference.mean()), 3)}
    contrast = float(grey.std())
    return {
        "luma": round(float(grey.mean()), 2),
        "contrast": round(contrast, 2),
        **motion,
        "frame_hash": frame_hash(grey) if contrast > MIN_CONTRAST else "",
    }


def apply_filters(measured: Measurements, filters: Mapping[Any, float]) -> tuple[str, str]:
    """Return the first filter that rejects a window, and why; two empty texts if none does.

    Args:
        measured: the window's measures by name.
        filters: name of a filter -> threshold.
    """
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
    """Return 64 bits in hex: which of 8 x 9 block means is darker than its right neighbour.

    dHash, Krawetz 2013.

    Args:
        grey: float32 [H, W].
    """
    cells = _average_blocks(_average_blocks(grey, 8).T, 9).T
    return _format_hex(cells[:, 1:] > cells[:, :-1])


def sound_hash(waveform: np.ndarray) -> str:
    """Return 64 bits in hex: signs of energy differences along time and frequency, 8 x 8.

    Haitsma and Kalker, ISMIR 2002. It is empty at a sample rate so low that bands fall together.

    Args:
        waveform: mono float32 [rate].
    """
    pieces = waveform[: len(waveform) // 9 * 9].reshape(9, -1)
    power = np.square(np.abs(np.fft.rfft(pieces * np.hanning(pieces.shape[1]), axis=1)))
    edges = np.geomspace(*BANDS_HZ, 10) * pieces.shape[1] / len(waveform)
    low = np.unique(np.clip(np.round(edges).astype(int), 0, power.shape[1] - 1))
    if len(low) < 10:
        return ""
    energy = np.add.reduceat(power, low, axis=1)[:, :9]
    return _format_hex(np.diff(np.diff(energy, axis=1), axis=0) > 0)


def distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Count the bits in which hashes differ, uint8 [A, B].

    Args:
        one: hashes, uint64 [A].
        others: hashes, uint64 [B].
    """
    bits: np.ndarray = np.bitwise_count(one[:, None] ^ others[None, :])
    return bits


def _average_blocks(values: np.ndarray, count: int) -> np.ndarray:
    """Return the means of `count` bands of rows, as equal as whole rows allow.

    If there are fewer rows than bands, rows are repeated.
    """
    if len(values) < count:
        values = np.repeat(values, -(-count // len(values)), axis=0)
    edges = np.linspace(0, len(values), count + 1).astype(int)
    means: np.ndarray = np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return means


def _format_hex(bits: np.ndarray) -> str:
    return np.packbits(bits.ravel()).tobytes().hex()
