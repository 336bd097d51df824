"""Estimate the sound of stored log-mels, and encode a sound as a WAV file."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

from pipeline.core.errors import ParamsError
from pipeline.training import formation

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.core.records import SyntheticSet
    from pipeline.media.logmel import LogMel

MODALITY = "logmel"
LOUDEST = 32767  # of 16 bits


def reconstruct_waveforms(
    synthetic: SyntheticSet, index: list[int], settings: LogMel, where: str
) -> Tensor:
    """Estimate the sounds of stored rows, float32 [rows, pieces * rate].

    The pieces of a row follow each other in their order, one second each.

    Args:
        synthetic: a set with log-mels.
        index: the rows, one or more.
        settings: the parameters that the log-mels were made with.
        where: the set's name, for error messages.

    Raises:
        ParamsError: these parameters make log-mels of another shape.

    Example:
        waveforms = reconstruct_waveforms(artifact.synthetic, [0, 1], settings, "seed0.h5")
    """
    rows = formation.split(synthetic.rows[MODALITY][index], synthetic.formation[MODALITY])
    decibels = synthetic.normalisation[MODALITY].undo(rows)[:, 0]
    shape = tuple(decibels.shape[1:])
    if shape != settings.shape:
        raise ParamsError(
            f"decode.logmel makes log-mels of {settings.shape[0]} x {settings.shape[1]}, "
            f"{where} holds {shape[0]} x {shape[1]}; take the params they were made with"
        )
    # `split` returns the first piece of every row, then the second of every row, and so on.
    waveforms = settings.invert(decibels).reshape(-1, len(index), settings.rate)
    return waveforms.transpose(0, 1).flatten(1)


def encode_wav(waveform: np.ndarray, rate: int) -> bytes:
    """Encode a mono waveform as a WAV file of 16 bits.

    Args:
        waveform: float32 [n] in -1..1; louder values are clipped.
        rate: sample rate, in Hz.

    Example:
        Path("beep.wav").write_bytes(encode_wav(waveform, 16000))
    """
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((waveform.clip(-1, 1) * LOUDEST).round().astype("<i2").tobytes())
    return target.getvalue()
