"""Door to torchaudio: waveform -> log-mel in decibels, one clip at a time on one thread.

The way back gives a sound to listen to.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchaudio.transforms import GriffinLim, InverseMelScale, MelSpectrogram

from pipeline.core.params import PositiveInt

if TYPE_CHECKING:
    import numpy as np

# Log-mel -> waveform: rounds of phase estimation, decibels at which it is clamped, highest peak.
ROUNDS, MAX_DB, PEAK = 32, 80.0, 0.9


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """The log-mel spectrogram 10 log10 max(mel power, floor) of a mono waveform.

    HTK mel scale, Hann window, centred and reflected (torchaudio's defaults). A second has
    1 + rate // hop columns.

    Args:
        rate: sample rate of the waveform, in Hz.
        n_fft: length of a window, in samples.
        hop: distance between windows, in samples.
        n_mels: number of mel bins from f_min to f_max.
        f_min: lower end of the lowest bin, in Hz.
        f_max: upper end of the highest bin, in Hz.
        floor_db: the lowest value, in dB; torchaudio's own floor, which AVDD keeps, is -100 dB.
    """

    rate: PositiveInt
    n_fft: PositiveInt
    hop: PositiveInt
    n_mels: PositiveInt
    f_min: float
    f_max: float
    floor_db: float

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Return the log-mel of one second, float16 [n_mels, columns] in dB.

        Args:
            waveform: float32 [rate] in -1..1.
        """
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
            # The published setting leaves one of its 128 mel bins empty; that is intended.
            warnings.filterwarnings("ignore", "At least one mel filterbank has all zero values")
            return MelSpectrogram(
                self.rate,
                self.n_fft,
                hop_length=self.hop,
                n_mels=self.n_mels,
                f_min=self.f_min,
                f_max=self.f_max,
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(n_mels, columns) of one second."""
        return self.n_mels, 1 + self.rate // self.hop

    @property
    def invertible(self) -> bool:
        """Whether the windows overlap; without overlap no waveform can be made from them."""
        return self.hop < self.n_fft

    def invert(self, decibels: Tensor) -> Tensor:
        """Estimate the sound of log-mels, float32 [N, rate]: one second each, finite, within PEAK.

        The power spectrum is the least-squares one of the mel bins, cut off at 0. Its phase comes
        from Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (IEEE
        TASSP 1984). It begins at zero, so the same input gives the same sound.

        Args:
            decibels: log-mels in dB, [N, n_mels, columns].
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            level = decibels.float().nan_to_num(self.floor_db).clamp(self.floor_db, MAX_DB)
            # The floor means no sound.
            power = 10 ** (level / 10) * (level > self.floor_db)
            # One least-squares problem, with every column as a right-hand side.
            columns = power.transpose(0, 1).flatten(1)
            spectra = self._inverse_mel(columns).unflatten(1, (len(power), -1)).transpose(0, 1)
            sound: Tensor = self._griffin_lim(spectra)
        finally:
            torch.set_num_threads(threads)
        return sound * (PEAK / sound.abs().amax(1, keepdim=True).clamp_min(PEAK))

    @cached_property
    def _inverse_mel(self) -> InverseMelScale:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "At least one mel filterbank has all zero values")
            # gelsd, because a filter bank with an empty bin lacks full rank.
            return InverseMelScale(
                self.n_fft // 2 + 1, self.n_mels, self.rate, self.f_min, self.f_max, driver="gelsd"
            )

    @cached_property
    def _griffin_lim(self) -> GriffinLim:
        return GriffinLim(
            self.n_fft, ROUNDS, hop_length=self.hop, momentum=0.0, length=self.rate, rand_init=False
        )
