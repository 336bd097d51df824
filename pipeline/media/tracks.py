"""Read one modality of a clip, window by window: pictures or sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media import quality
from pipeline.media.timeline import MAX_PADDING_S, MediaProbe

if TYPE_CHECKING:
    from collections.abc import Sequence


# Two frames of one second that are compared for motion lie this far apart.
MOTION_STEP_S = 0.45


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One modality of one window: its array, or the reason why there is none.

    Args:
        array: u8 [T, H, W, 3] of frames or float32 [rate] of sound; None: see `reason`.
        pts: when it was taken, in seconds from time zero.
        quality: measures by name, see quality.py.
        reason: a word of the ledger; empty if there is an array.
        detail: a sentence about the reason.
    """

    array: np.ndarray | None
    pts: tuple[float, ...] = ()
    quality: dict[str, float | str] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


# A frame u8 [H, W, 3] and its pts in seconds; the frame is None where it is damaged.
DisplayedFrame = tuple[np.ndarray | None, float]
# Makes an upright frame u8 [H, W, 3] smaller, given the width of its pixels over their height.
Shrink = Callable[[np.ndarray, float], np.ndarray]


class Backend(Protocol):
    """A decoder."""

    def read_frames(
        self, path: str, probe: MediaProbe, times: Sequence[float], shrink: Shrink
    ) -> list[DisplayedFrame | None]:
        """Return the frame on display at each time, made smaller; None if there is none.

        Args:
            path: a local file.
            probe: its header.
            times: seconds from time zero.
            shrink: applied to each frame as it comes, so that few native frames are in memory.
        """

    def read_sound(
        self, path: str, probe: MediaProbe, rate: int, starts: Sequence[float]
    ) -> list[np.ndarray]:
        """Return seconds of the sound track, mono float32 [rate] each, NaN where it has gaps.

        Args:
            path: a local file.
            probe: its header.
            rate: sample rate to return, in Hz.
            starts: where each second begins, in seconds from time zero.
        """


class Track(Protocol):
    """How one modality reads its windows from a clip."""

    def require(self, probe: MediaProbe) -> None:
        """Raise MediaError if the file lacks the stream.

        Args:
            probe: the file's header.
        """

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]:
        """Return one reading per window; raise MediaError if the file lacks the stream.

        Args:
            path: a local file.
            probe: its header.
            starts: where each window begins, in seconds from time zero.
            backend: the decoder to use.
        """


@dataclass(frozen=True, kw_only=True)
class FrameTrack:
    """Frames on display at `offsets` into each window, u8 [T, height, width, 3].

    Args:
        width: of the result, in pixels.
        height: of the result, in pixels.
        crop: keep the aspect of the picture on display: scale to cover, cut the middle out;
            otherwise squash, as AVDD does.
        offsets: seconds from the window's start, one per frame.
    """

    width: int
    height: int
    crop: bool
    offsets: tuple[float, ...]

    def require(self, probe: MediaProbe) -> None:
        if probe.video is None:
            raise MediaError("no_video", "the file has no video stream")

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]:
        self.require(probe)
        assert probe.video is not None
        offsets = (*self.offsets, self._motion_offset)
        times = [start + offset for start in starts for offset in offsets]
        displayed = backend.read_frames(path, probe, times, self._resize)
        count = len(offsets)
        stream_start = probe.video.start
        return [
            self._make_reading(displayed[i * count : (i + 1) * count], start, stream_start)
            for i, start in enumerate(starts)
        ]

    @property
    def _motion_offset(self) -> float:
        """Offset of the frame that shows motion, MOTION_STEP_S from the first one."""
        later = self.offsets[0] + MOTION_STEP_S
        return later if later < 1 else self.offsets[0] - MOTION_STEP_S

    def _make_reading(
        self, displayed: list[DisplayedFrame | None], start: float, stream_start: float
    ) -> Reading:
        *wanted, motion = displayed
        intact = [(rgb, pts) for rgb, pts in filter(None, wanted) if rgb is not None]
        if len(intact) == len(wanted):
            scaled = np.stack([rgb for rgb, _ in intact])
            other = None if motion is None else motion[0]
            pts = tuple(round(pts, 6) for _, pts in intact)
            return Reading(array=scaled, pts=pts, quality=quality.measure_picture(scaled[0], other))
        if len(intact) < sum(frame is not None for frame in wanted):
            detail = f"a frame in the second at {start:g} s is damaged"
            return Reading(array=None, reason="decode_error", detail=detail)
        if start + min(self.offsets) < stream_start:
            detail = f"the picture starts at {stream_start:.2f} s"
            return Reading(array=None, reason="av_offset", detail=detail)
        detail = f"no frame is on display in the second at {start:g} s"
        return Reading(array=None, reason="truncated_video", detail=detail)

    def _resize(self, rgb: np.ndarray, aspect: float) -> np.ndarray:
        shown = rgb.shape[1] * aspect, rgb.shape[0]
        cover = max(self.width / shown[0], self.height / shown[1])
        wide, high = (
            max(round(side * cover), least)
            for side, least in zip(shown, (self.width, self.height), strict=True)
        )
        target = (wide, high) if self.crop else (self.width, self.height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        scaled = frame.reformat(
            width=target[0], height=target[1], format="rgb24", interpolation="BICUBIC"
        ).to_ndarray()
        top, left = (target[1] - self.height) // 2, (target[0] - self.width) // 2
        return np.ascontiguousarray(scaled[top : top + self.height, left : left + self.width])


@dataclass(frozen=True, kw_only=True)
class SoundTrack:
    """The waveform of each window, mono float32 [rate].

    Up to MAX_PADDING_S of it may be missing, and becomes silence.

    Args:
        rate: samples per second.
    """

    rate: int

    def require(self, probe: MediaProbe) -> None:
        if probe.audio is None:
            raise MediaError("no_audio", "the file has no audio stream")

    def read(
        self, path: str, probe: MediaProbe, starts: Sequence[float], backend: Backend
    ) -> list[Reading]:
        self.require(probe)
        assert probe.audio is not None
        pieces = backend.read_sound(path, probe, self.rate, starts)
        return [
            self._make_reading(piece, start, probe.audio.start)
            for piece, start in zip(pieces, starts, strict=True)
        ]

    def _make_reading(self, piece: np.ndarray, start: float, stream_start: float) -> Reading:
        missing = int(np.isnan(piece).sum())
        if missing > MAX_PADDING_S * self.rate:
            if start + MAX_PADDING_S / 2 < stream_start:
                detail = f"the sound starts at {stream_start:.2f} s"
                return Reading(array=None, reason="av_offset", detail=detail)
            detail = f"{missing / self.rate:.2f} s of sound missing at {start:g} s"
            return Reading(array=None, reason="truncated_audio", detail=detail)
        sound = np.nan_to_num(piece)
        return Reading(
            array=sound,
            pts=(round(start * self.rate) / self.rate,),
            quality=quality.measure_sound(sound),
        )
