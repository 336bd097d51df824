"""What one modality reads of a clip, window by window: pictures and sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media import quality
from pipeline.media.timeline import PADDED_S, MediaProbe

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


Shown = tuple[np.ndarray | None, float]


class Backend(Protocol):
    """A decoder.

    frames: the native-size RGB frame on display at each time, with its pts; None where there is none, (None, pts) where it is
        damaged.
    waveform: the whole sound track as mono, NaN where it has gaps.
    """

    def read_frames(
        self, path: str, probe: MediaProbe, times: Sequence[float]
    ) -> list[Shown | None]: ...

    def read_waveform(self, path: str, probe: MediaProbe, rate: int) -> np.ndarray: ...


class Track(Protocol):
    """How one modality reads its windows from a clip."""

    def require(self, probe: MediaProbe) -> None: ...

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]: ...


@dataclass(frozen=True, kw_only=True)
class FrameTrack:
    """Frames on display at `offsets` seconds into each window, u8 [T, height, width, 3].

    Args:
        crop: keep the aspect: scale to cover, cut the middle out; otherwise squash, as AVDD does.
    """

    width: int
    height: int
    crop: bool
    offsets: tuple[float, ...]

    def require(self, probe: MediaProbe) -> None:
        """A MediaError if the file has no picture."""
        if probe.video is None:
            raise MediaError("no_video", "the file has no video stream")

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]:
        """One reading per window; a MediaError if the file has no picture."""
        self.require(probe)
        assert probe.video is not None
        looks = (*self.offsets, self._motion_offset)
        times = [start + offset for start in starts for offset in looks]
        shown = backend.read_frames(path, probe, times)
        count = len(looks)
        late = probe.video.start
        return [
            self._make_reading(shown[i * count : (i + 1) * count], start, late)
            for i, start in enumerate(starts)
        ]

    @property
    def _motion_offset(self) -> float:
        """Where a second look tells a moving picture from a still one: as far from the first offset as the second allows."""
        return (
            self.offsets[0] + APART_S
            if self.offsets[0] + APART_S < 1
            else self.offsets[0] - APART_S
        )

    def _make_reading(self, shown: list[Shown | None], start: float, late: float) -> Reading:
        *kept, later = shown
        found = [(rgb, pts) for rgb, pts in filter(None, kept) if rgb is not None]
        if len(found) == len(kept):
            scaled = np.stack(
                [_resize(rgb, self.width, self.height, self.crop) for rgb, _ in found]
            )
            other = (
                None
                if later is None or later[0] is None
                else _resize(later[0], self.width, self.height, self.crop)
            )
            pts = tuple(round(pts, 6) for _, pts in found)
            return Reading(array=scaled, pts=pts, quality=quality.measure_picture(scaled[0], other))
        if len(found) < sum(frame is not None for frame in kept):
            return Reading(
                array=None,
                reason="decode_error",
                detail=f"a frame in the second at {start:g} s is damaged",
            )
        if start + min(self.offsets) < late:
            return Reading(
                array=None, reason="av_offset", detail=f"the picture starts at {late:.2f} s"
            )
        return Reading(
            array=None,
            reason="truncated_video",
            detail=f"no frame is on display in the second at {start:g} s",
        )


@dataclass(frozen=True, kw_only=True)
class SoundTrack:
    """The waveform of each window, float32 [rate] mono at `rate` Hz; up to PADDED_S of it may be missing, and is silence."""

    rate: int

    def require(self, probe: MediaProbe) -> None:
        """A MediaError if the file has no sound."""
        if probe.audio is None:
            raise MediaError("no_audio", "the file has no audio stream")

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]:
        """One reading per window; a MediaError if the file has no sound."""
        self.require(probe)
        assert probe.audio is not None
        track = backend.read_waveform(path, probe, self.rate)
        return [self._make_reading(track, start, probe.audio.start) for start in starts]

    def _make_reading(self, track: np.ndarray, start: float, late: float) -> Reading:
        first = round(start * self.rate)
        piece = track[first : first + self.rate]
        piece = np.pad(piece, (0, self.rate - len(piece)), constant_values=np.nan)
        missing = int(np.isnan(piece).sum())
        if missing > PADDED_S * self.rate:
            if start + PADDED_S / 2 < late:
                return Reading(
                    array=None, reason="av_offset", detail=f"the sound starts at {late:.2f} s"
                )
            return Reading(
                array=None,
                reason="truncated_audio",
                detail=f"{missing / self.rate:.2f} s of sound missing at {start:g} s",
            )
        heard = np.nan_to_num(piece)
        return Reading(array=heard, pts=(first / self.rate,), quality=quality.measure_sound(heard))


def _resize(rgb: np.ndarray, width: int, height: int, crop: bool) -> np.ndarray:
    native = rgb.shape[1], rgb.shape[0]
    cover = max(width / native[0], height / native[1])
    wide, high = (
        max(round(side * cover), least) for side, least in zip(native, (width, height), strict=True)
    )
    target = (wide, high) if crop else (width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    scaled = frame.reformat(
        width=target[0], height=target[1], format="rgb24", interpolation="BICUBIC"
    ).to_ndarray()
    top, left = (target[1] - height) // 2, (target[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])
