"""Stored log-mels as sounds that a page can hold: piece after piece, as MP3 data URIs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pipeline import formation, media
from pipeline.errors import ParamsError

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.logmel import LogMel
    from pipeline.records import SyntheticSet

MODALITY = "logmel"


def sounds(synthetic: SyntheticSet, index: list[int], settings: LogMel, where: str) -> list[str]:
    """One data URI for each stored instance at `index`; a formed one plays its pieces in their order, a second each."""
    if not index:
        return []
    rows = formation.split(synthetic.rows[MODALITY][index], synthetic.formation[MODALITY])
    decibels = synthetic.normalisation[MODALITY].undo(rows)[:, 0]
    shape = tuple(decibels.shape[1:])
    if shape != settings.shape:
        raise ParamsError(
            f"decode.logmel makes log-mels of {settings.shape[0]} x {settings.shape[1]}, {where} holds {shape[0]} x {shape[1]}; "
            "take the params they were made with"
        )
    # Pieces of all instances come first by piece, then by instance.
    pieces = settings.waveforms(decibels).reshape(-1, len(index), settings.rate).transpose(0, 1)
    return [_uri(whole.flatten(), settings.rate) for whole in pieces]


def _uri(waveform: Tensor, rate: int) -> str:
    return f"data:audio/mpeg;base64,{base64.b64encode(media.mp3(waveform.numpy(), rate)).decode()}"
