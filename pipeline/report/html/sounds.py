"""Stored log-mels as sounds that a page can hold: piece after piece, as MP3 data URIs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pipeline import media
from pipeline.artifact.sounds import reconstruct_waveforms

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import SyntheticSet
    from pipeline.media.logmel import LogMel


def encode_sounds(
    synthetic: SyntheticSet, index: list[int], settings: LogMel, where: str
) -> list[str]:
    """One data URI for each stored instance at `index`; a formed one plays its pieces in their order, a second each."""
    return (
        [
            _encode_uri(whole, settings.rate)
            for whole in reconstruct_waveforms(synthetic, index, settings, where)
        ]
        if index
        else []
    )


def _encode_uri(waveform: Tensor, rate: int) -> str:
    return f"data:audio/mpeg;base64,{base64.b64encode(media.encode_mp3(waveform.numpy(), rate)).decode()}"
