"""Preprocessing: the parameters that make samples of media, as files hold them and as functions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import ParamsError
from pipeline.core.files import digest_of
from pipeline.core.params import build
from pipeline.core.plugins import pick
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.logmel import LogMel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.media import Track

# modality -> the type of its parameters
SECTIONS: dict[str, Any] = {"frame": FrameTrack, "logmel": LogMel, "wave": SoundTrack}
# modality -> its parameters -> how it is read from a clip
TRACKS: dict[str, Callable[[Any], Track]] = {
    "frame": lambda frame: frame,
    "logmel": lambda logmel: SoundTrack(rate=logmel.rate),
    "wave": lambda wave: wave,
}
# modality -> its parameters -> function from a reading's array to the array on disk
ENCODERS: dict[str, Callable[[Any], Callable[[np.ndarray], np.ndarray]]] = {
    "frame": lambda _: lambda frames: frames,
    "logmel": lambda logmel: logmel,
    "wave": lambda _: lambda wave: np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16),
}
# modality -> its parameters -> expectation -> whether they meet it
REQUIREMENTS: dict[str, Callable[[Any], dict[str, bool]]] = {
    "frame": lambda frame: {
        "frame.offsets are one or more seconds from 0 to below 1": bool(frame.offsets)
        and all(0 <= offset < 1 for offset in frame.offsets),
        "frame.width and frame.height are 1 or more": min(frame.width, frame.height) >= 1,
    },
    "logmel": lambda logmel: {
        "logmel.n_fft is at most logmel.rate": logmel.n_fft <= logmel.rate,
        "logmel.f_min is below f_max, and f_max at most half of the rate": (
            logmel.f_min < logmel.f_max <= logmel.rate / 2
        ),
    },
    "wave": lambda _: {},
}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How samples are made of media.

    Args:
        sections: modality -> its parameters.
    """

    sections: Mapping[str, Any]

    @classmethod
    def from_json(cls, params: Mapping[str, Any], where: str) -> Preprocessing:
        """Return the preprocessing of a file.

        Args:
            params: as the property `params` gives it.
            where: the file, for messages.

        Raises:
            ParamsError: a value is missing, unknown, or does not fit the others.
            PluginError: a modality is unknown.
        """
        sections = {
            modality: build(pick(SECTIONS, modality, "modality"), values, f"{where}: {modality}")
            for modality, values in params.items()
        }
        refuse_misfit(sections, where)
        return cls(sections=sections)

    @property
    def params(self) -> dict[str, Any]:
        """Modality -> the parameters that decide a sample's values, given the media."""
        return {modality: asdict(section) for modality, section in self.sections.items()}

    @property
    def digest(self) -> str:
        """Digest of `params`."""
        return digest_of(self.params)

    @property
    def tracks(self) -> dict[str, Track]:
        """How each modality is read from a clip."""
        return {m: TRACKS[m](section) for m, section in self.sections.items()}

    @property
    def encoders(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """Modality -> function from a reading's array to the array on disk."""
        return {m: ENCODERS[m](section) for m, section in self.sections.items()}


def refuse_misfit(sections: Mapping[str, Any], where: str) -> None:
    """Refuse parameters that do not fit each other.

    Args:
        sections: modality -> its parameters.
        where: their place, for the message.

    Raises:
        ParamsError: an expectation is not met.
    """
    for modality, section in sections.items():
        for expected, fulfilled in REQUIREMENTS[modality](section).items():
            if not fulfilled:
                raise ParamsError(f"{where} does not fit: expected that {expected}")
