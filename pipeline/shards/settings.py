"""Section `decode` of the params file: how a second is read, encoded, filtered and normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.errors import ParamsError
from pipeline.core.params import PositiveFloat, PositiveInt, UnitInterval
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.logmel import LogMel
from pipeline.shards.preprocessing import Preprocessing, refuse_misfit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from pipeline import media

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
        deadline_s: seconds per clip, or per two minutes of a longer one.
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
        if not (self.modalities and self.backends):
            expected = "modalities and backends name one or more each"
            raise ParamsError(f"decode does not fit: expected that {expected}")
        refuse_misfit({"frame": self.frame, "logmel": self.logmel}, "decode")

    @property
    def preprocessing(self) -> Preprocessing:
        """How samples are made of media."""
        return Preprocessing(sections={name: getattr(self, name) for name in self.modalities})

    @property
    def tracks(self) -> dict[str, media.Track]:
        """How each required modality is read from a clip."""
        return self.preprocessing.tracks

    @property
    def encoders(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """Modality -> function from a reading's array to the array on disk."""
        return self.preprocessing.encoders

    @property
    def limits(self) -> dict[str, Any]:
        """Limits of a decode worker."""
        return {
            "deadline_s": self.deadline_s,
            "memory_mb": self.memory_mb,
            "recycle": self.recycle,
        }

    @property
    def fill_values(self) -> dict[str, float | None]:
        """Modality -> value that means no content, in its unit; None means the mean."""
        return {"frame": None, "logmel": self.logmel.floor_db, "wave": 0.0}
