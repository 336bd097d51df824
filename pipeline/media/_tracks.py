"""What one modality reads of a clip, window by window: pictures and sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from pipeline import quality
from pipeline.errors import MediaError
from pipeline.media._timeline import SLACK_S, Probe

if TYPE_CHECKING:
    from collections.abc import Sequence


# Two looks at one second that are compared for motion lie this far apart.
APART_S = 0.45


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one modality has for one window: its array, the time stamps it was taken at and its quality, or the reason why not."""

    array: np.ndarray | None
    pts: tuple[float, ...] = ()
    quality: dict[str, float | str] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


class Backend(Protocol):
    """A decoder: native-size RGB frames on display at given times, and the whole sound track as mono."""

    def frames(self, path: str, probe: Probe, times: Sequence[float]) -> list[tuple[np.ndarray, float] | None]: ...

    def waveform(self, path: str, probe: Probe, rate: int) -> np.ndarray: ...


class Track(Protocol):
    """How one modality reads its windows from a clip."""

    def read(self, path: str, probe: Probe, starts: Sequence[float], backend: Backend) -> list[Reading]: ...


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Frames on display at `offsets` seconds into each window, u8 [T, height, width, 3].

    Args:
        crop: keep the aspect: scale to cover, cut the middle out; otherwise squash, as AVDD does.
    """

    width: int
    height: int
    crop: bool
    offsets: tuple[float, ...]

    def read(self, path: str, probe: Probe, starts: Sequence[float], backend: Backend) -> list[Reading]:
        """One reading per window; a MediaError if the file has no picture."""
        if probe.video is None:
            raise MediaError("no_video", "the file has no video stream")
        looks = (*self.offsets, self._later)
        times = [start + offset for start in starts for offset in looks]
        shown = backend.frames(path, probe, times)
        count = len(looks)
        return [self._reading(shown[i * count : (i + 1) * count], start) for i, start in enumerate(starts)]

    @property
    def _later(self) -> float:
        """Where a second look tells a moving picture from a still one: as far from the first offset as the second allows."""
        return self.offsets[0] + APART_S if self.offsets[0] + APART_S < 1 else self.offsets[0] - APART_S

    def _reading(self, shown: list[tuple[np.ndarray, float] | None], start: float) -> Reading:
        found = [frame for frame in shown[:-1] if frame is not None]
        if len(found) < len(self.offsets):
            return Reading(array=None, reason="truncated_video", detail=f"no frame is on display in the second at {start:g} s")
        frames = np.stack([_scaled(rgb, self.width, self.height, self.crop) for rgb, _ in found])
        other = None if shown[-1] is None else _scaled(shown[-1][0], self.width, self.height, self.crop)
        return Reading(array=frames, pts=tuple(round(pts, 6) for _, pts in found), quality=quality.of_picture(frames[0], other))


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The waveform of each window, float32 [rate] mono at `rate` Hz; the end of a track may be padded by SLACK_S of silence."""

    rate: int

    def read(self, path: str, probe: Probe, starts: Sequence[float], backend: Backend) -> list[Reading]:
        """One reading per window; a MediaError if the file has no sound."""
        if probe.audio is None:
            raise MediaError("no_audio", "the file has no audio stream")
        track = backend.waveform(path, probe, self.rate)
        return [self._reading(track, start) for start in starts]

    def _reading(self, track: np.ndarray, start: float) -> Reading:
        first = round(start * self.rate)
        piece = track[first : first + self.rate]
        missing = self.rate - len(piece)
        if missing > SLACK_S * self.rate:
            return Reading(
                array=None, reason="truncated_audio", detail=f"{missing / self.rate:.2f} s of sound missing at {start:g} s"
            )
        return Reading(array=np.pad(piece, (0, missing)), pts=(first / self.rate,), quality=quality.of_sound(piece))


def _scaled(rgb: np.ndarray, width: int, height: int, crop: bool) -> np.ndarray:
    native = rgb.shape[1], rgb.shape[0]
    cover = max(width / native[0], height / native[1])
    wide, high = (max(round(side * cover), least) for side, least in zip(native, (width, height), strict=True))
    target = (wide, high) if crop else (width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    scaled = frame.reformat(width=target[0], height=target[1], format="rgb24", interpolation="BICUBIC").to_ndarray()
    top, left = (target[1] - height) // 2, (target[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])
