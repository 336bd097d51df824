"""Stored log-mels as sounds, an estimate for ears; and a sound as a WAV file."""

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
    """The stored rows at `index`, one or more -> float32 [rows, pieces x rate]: the pieces in their order, a second each.

    Args:
        settings: what the log-mels were made with; `where`: the set's name, for messages.

    Raises:
        ParamsError: the settings make log-mels of another shape.
    """
    rows = formation.split(synthetic.rows[MODALITY][index], synthetic.formation[MODALITY])
    decibels = synthetic.normalisation[MODALITY].undo(rows)[:, 0]
    shape = tuple(decibels.shape[1:])
    if shape != settings.shape:
        raise ParamsError(
            f"decode.logmel makes log-mels of {settings.shape[0]} x {settings.shape[1]}, {where} holds {shape[0]} x {shape[1]}; "
            "take the params they were made with"
        )
    # Pieces of all instances come first by piece, then by instance.
    return (
        settings.invert(decibels).reshape(-1, len(index), settings.rate).transpose(0, 1).flatten(1)
    )


def encode_wav(waveform: np.ndarray, rate: int) -> bytes:
    """Encode a mono waveform float32 [n] in -1..1 as WAV of 16 bits."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((waveform.clip(-1, 1) * LOUDEST).round().astype("<i2").tobytes())
    return target.getvalue()
