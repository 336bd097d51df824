"""What one modality reads of a clip, window by window: pictures and sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from pipeline.errors import MediaError
from pipeline.media._timeline import PADDED_S, Probe

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one modality has for one window: its array and the time stamps it was taken at, or the reason why not."""

    array: np.ndarray | None
    pts: tuple[float, ...] = ()
    reason: str = ""
    detail: str = ""


Shown = tuple[np.ndarray | None, float]


class Backend(Protocol):
    """A decoder.

    frames: the native-size RGB frame on display at each time, with its pts; None where there is none, (None, pts) where it is
        damaged.
    waveform: the whole sound track as mono, NaN where it has gaps.
    """

    def frames(self, path: str, probe: Probe, times: Sequence[float]) -> list[Shown | None]: ...

    def waveform(self, path: str, probe: Probe, rate: int) -> np.ndarray: ...


class Track(Protocol):
    """How one modality reads its windows from a clip."""

    def require(self, probe: Probe) -> None: ...

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

    def require(self, probe: Probe) -> None:
        """A MediaError if the file has no picture."""
        if probe.video is None:
            raise MediaError("no_video", "the file has no video stream")

    def read(self, path: str, probe: Probe, starts: Sequence[float], backend: Backend) -> list[Reading]:
        """One reading per window; a MediaError if the file has no picture."""
        self.require(probe)
        assert probe.video is not None
        times = [start + offset for start in starts for offset in self.offsets]
        shown = backend.frames(path, probe, times)
        count = len(self.offsets)
        late = probe.video.start
        return [self._reading(shown[i * count : (i + 1) * count], start, late) for i, start in enumerate(starts)]

    def _reading(self, shown: list[Shown | None], start: float, late: float) -> Reading:
        found = [(rgb, pts) for rgb, pts in filter(None, shown) if rgb is not None]
        if len(found) == len(shown):
            scaled = [_scaled(rgb, self.width, self.height, self.crop) for rgb, _ in found]
            return Reading(array=np.stack(scaled), pts=tuple(round(pts, 6) for _, pts in found))
        if len(found) < sum(frame is not None for frame in shown):
            return Reading(array=None, reason="decode_error", detail=f"a frame in the second at {start:g} s is damaged")
        if start + min(self.offsets) < late:
            return Reading(array=None, reason="av_offset", detail=f"the picture starts at {late:.2f} s")
        return Reading(array=None, reason="truncated_video", detail=f"no frame is on display in the second at {start:g} s")


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The waveform of each window, float32 [rate] mono at `rate` Hz; up to PADDED_S of it may be missing, and is silence."""

    rate: int

    def require(self, probe: Probe) -> None:
        """A MediaError if the file has no sound."""
        if probe.audio is None:
            raise MediaError("no_audio", "the file has no audio stream")

    def read(self, path: str, probe: Probe, starts: Sequence[float], backend: Backend) -> list[Reading]:
        """One reading per window; a MediaError if the file has no sound."""
        self.require(probe)
        assert probe.audio is not None
        track = backend.waveform(path, probe, self.rate)
        return [self._reading(track, start, probe.audio.start) for start in starts]

    def _reading(self, track: np.ndarray, start: float, late: float) -> Reading:
        first = round(start * self.rate)
        piece = track[first : first + self.rate]
        piece = np.pad(piece, (0, self.rate - len(piece)), constant_values=np.nan)
        missing = int(np.isnan(piece).sum())
        if missing > PADDED_S * self.rate:
            if start + PADDED_S / 2 < late:
                return Reading(array=None, reason="av_offset", detail=f"the sound starts at {late:.2f} s")
            return Reading(
                array=None, reason="truncated_audio", detail=f"{missing / self.rate:.2f} s of sound missing at {start:g} s"
            )
        return Reading(array=np.nan_to_num(piece), pts=(first / self.rate,))


def _scaled(rgb: np.ndarray, width: int, height: int, crop: bool) -> np.ndarray:
    native = rgb.shape[1], rgb.shape[0]
    cover = max(width / native[0], height / native[1])
    wide, high = (max(round(side * cover), least) for side, least in zip(native, (width, height), strict=True))
    target = (wide, high) if crop else (width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    scaled = frame.reformat(width=target[0], height=target[1], format="rgb24", interpolation="BICUBIC").to_ndarray()
    top, left = (target[1] - height) // 2, (target[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])
