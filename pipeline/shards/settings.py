"""Section `decode` of the params file: how a second is read, encoded, filtered and normalised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline import media
from pipeline.core.errors import ParamsError
from pipeline.core.files import digest_of
from pipeline.core.params import PositiveFloat, PositiveInt, UnitInterval
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.logmel import LogMel

if TYPE_CHECKING:
    from collections.abc import Callable

# modality -> factor from stored values (8-bit levels, decibels, 16-bit samples) to the unit of mean
# and std.
UNIT: dict[str, float] = {"frame": 1 / 255, "logmel": 1.0, "wave": 1 / 32767}

Modality = Literal["frame", "logmel", "wave"]
Filter = Literal["black", "still", "silent", "clipping"]


@dataclass(frozen=True, kw_only=True)
class FixedNormalisation:
    """A published normalisation, instead of the one measured on the training split.

    Args:
        mean: per channel, in the modality's unit.
        std: per channel, in the modality's unit.
        fill: the normalised value that means no content.
    """

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    fill: float


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Section `decode`.

    Args:
        modalities: those that every sample must have.
        backends: decoders in the order in which they are tried.
        frame: how frames are read.
        logmel: how the log-mel is made.
        wave: how the waveform is read; it is stored as 16-bit samples, for audio encoders.
        normalise: modality -> fixed mean, std and fill; others are measured on the training split.
        filters: name -> threshold; windows are left out if `black` (mean level) or `still` (mean
            change, both of 255) or `silent` (dB relative to full scale) is below it, or `clipping`
            (share of samples) above it.
        drop_duplicates: keep one of the clips with the same bytes and span, of the most held-out
            split.
        leak_bits: windows of different splits are reported as near-duplicates if their 64-bit
            hashes of picture and sound differ by at most this many bits.
        shards: tars per split.
        deadline_s: seconds per clip.
        memory_mb: megabytes per worker.
        recycle: clips per worker process.
        max_reject_fraction: of clips and of windows; if more are rejected, the exit code is 3.
    """

    modalities: tuple[Modality, ...]
    backends: tuple[Literal["decord", "pyav"], ...]
    frame: FrameTrack
    logmel: LogMel
    wave: SoundTrack
    normalise: dict[Modality, FixedNormalisation]
    filters: dict[Filter, float]
    drop_duplicates: bool
    leak_bits: dict[Literal["frame", "sound"], int]
    shards: PositiveInt
    deadline_s: PositiveFloat
    memory_mb: PositiveInt
    recycle: PositiveInt
    max_reject_fraction: UnitInterval

    def __post_init__(self) -> None:
        mel, offsets, frame = self.logmel, self.frame.offsets, self.frame
        offsets_fit = bool(offsets) and all(0 <= offset < 1 for offset in offsets)
        requirements = {
            "modalities and backends name one or more each": self.modalities and self.backends,
            "frame.offsets are one or more seconds from 0 to below 1": offsets_fit,
            "frame.width and frame.height are 1 or more": min(frame.width, frame.height) >= 1,
            "logmel.n_fft is at most logmel.rate": mel.n_fft <= mel.rate,
            "logmel.f_min is below f_max, and f_max at most half of the rate": (
                mel.f_min < mel.f_max <= mel.rate / 2
            ),
        }
        for expected, fulfilled in requirements.items():
            if not fulfilled:
                raise ParamsError(f"decode does not fit: expected that {expected}")

    @property
    def tracks(self) -> dict[str, media.Track]:
        """How each required modality is read from a clip."""
        known: dict[str, media.Track] = {
            "frame": self.frame,
            "logmel": SoundTrack(rate=self.logmel.rate),
            "wave": self.wave,
        }
        return {modality: known[modality] for modality in self.modalities}

    @property
    def encoders(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """Modality -> function from a reading's array to the array on disk."""
        known: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "frame": lambda frames: frames,
            "logmel": self.logmel,
            "wave": lambda wave: np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16),
        }
        return {modality: known[modality] for modality in self.modalities}

    @property
    def limits(self) -> dict[str, Any]:
        """Limits of a decode worker."""
        return {
            "deadline_s": self.deadline_s,
            "memory_mb": self.memory_mb,
            "recycle": self.recycle,
        }

    @property
    def preprocessing(self) -> str:
        """Digest of the parameters that decide a sample's values, given the media."""
        sections: dict[str, Any] = {"frame": self.frame, "logmel": self.logmel, "wave": self.wave}
        return digest_of({modality: asdict(sections[modality]) for modality in self.modalities})

    @property
    def fill_values(self) -> dict[str, float | None]:
        """Modality -> value that means no content, in its unit; None means the mean."""
        return {"frame": None, "logmel": self.logmel.floor_db, "wave": 0.0}
