"""Door to torchaudio: waveform -> log-mel in decibels, one clip at a time on one thread."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from pipeline.params import Count

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """10 log10 max(mel power, floor), mono, HTK mel scale, Hann window, centred and reflected (torchaudio's defaults).

    Args:
        rate: Hz; n_fft, hop: samples; n_mels: bins from f_min to f_max Hz; columns = 1 + rate // hop per second.
        floor_db: quieter than this is this; torchaudio's own floor, which AVDD keeps, is -100 dB.
    """

    rate: Count
    n_fft: Count
    hop: Count
    n_mels: Count
    f_min: float
    f_max: float
    floor_db: float

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Waveform float32 [rate] -> float16 [n_mels, columns] in dB."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            power: Tensor = self._mel(torch.from_numpy(waveform))
        finally:
            torch.set_num_threads(threads)
        return (10 * power.clamp_min(10 ** (self.floor_db / 10)).log10()).half().numpy()

    @cached_property
    def _mel(self) -> MelSpectrogram:
        with warnings.catch_warnings():
            # The published setting leaves one of its 128 mel bins empty; that is the setting, so no word of it.
            warnings.filterwarnings("ignore", "At least one mel filterbank has all zero values")
            return MelSpectrogram(
                self.rate, self.n_fft, hop_length=self.hop, n_mels=self.n_mels, f_min=self.f_min, f_max=self.f_max
            )
