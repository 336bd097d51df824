"""Section `decode` of the params file: what one second becomes, and what is let through."""

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

# modality -> factor from what is stored, 8-bit values, decibels and 16-bit samples, to what mean and std are given in
UNIT: dict[str, float] = {"frame": 1 / 255, "logmel": 1.0, "wave": 1 / 32767}

Modality = Literal["frame", "logmel", "wave"]
Filter = Literal["black", "still", "silent", "clipping"]


@dataclass(frozen=True, kw_only=True)
class FixedNormalisation:
    """A published normalisation, instead of the one measured on the training split."""

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    fill: float


@dataclass(frozen=True, kw_only=True)
class Decode:
    """Section `decode`.

    Args:
        modalities: those that every sample must have; `backends`: decoders in the order they are asked.
        frame, logmel, wave: what one second becomes: frames, a log-mel, 16-bit samples (what audio encoders take).
        normalise: modality -> fixed mean, std and fill; what is absent is measured on train.
        filters: windows that are left out: `black` below a mean level and `still` below a mean change, both of 255; `silent`
            below a level in dB re full scale; `clipping` above a share of samples. None are, if it is empty.
        drop_duplicates: of clips with the same bytes and span only one is kept, of the most held-out split.
        leak_bits: windows of different splits whose 64-bit hashes differ by at most this many bits, in picture and sound, are
            reported as near-duplicates.
        shards: tars per split; `deadline_s`: seconds per clip; `memory_mb`: per worker; `recycle`: clips per worker process.
        max_reject_fraction: of clips and of windows; more than that ends with exit code 3.
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
        mel, offsets = self.logmel, self.frame.offsets
        wrong = {
            "modalities and backends name one or more each": not (
                self.modalities and self.backends
            ),
            "frame.offsets are one or more seconds from 0 to below 1": not offsets
            or not all(0 <= t < 1 for t in offsets),
            "frame.width and frame.height are 1 or more": min(self.frame.width, self.frame.height)
            < 1,
            "logmel.n_fft is at most logmel.rate": mel.n_fft > mel.rate,
            "logmel.f_min is below f_max, and f_max at most half of the rate": not mel.f_min
            < mel.f_max
            <= mel.rate / 2,
        }
        for expected, violated in wrong.items():
            if violated:
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
        """What each required modality's reading becomes on disk."""
        known: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "frame": lambda frames: frames,
            "logmel": self.logmel,
            "wave": lambda wave: np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16),
        }
        return {modality: known[modality] for modality in self.modalities}

    @property
    def preprocessing(self) -> str:
        """Digest of what decides a sample's values, given the media."""
        sections: dict[str, Any] = {"frame": self.frame, "logmel": self.logmel, "wave": self.wave}
        return digest_of({modality: asdict(sections[modality]) for modality in self.modalities})

    @property
    def fill_values(self) -> dict[str, float | None]:
        """What stands for nothing in each modality, in its unit; None is the mean."""
        return {"frame": None, "logmel": self.logmel.floor_db, "wave": 0.0}
