"""Door to decord and PyAV: a clip's seconds as frames and waveform, on one timeline; never imports torch.

Time zero is the container's first presentation time. decord rebases every stream to its own zero, so it is asked only where
the streams start together; PyAV keeps the time stamps and answers for the rest, and gives the second opinion when decord fails.
decord is imported where it is used, in a worker: torch, imported after it, takes its matrix products from NVBLAS and crashes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import av
import numpy as np

from pipeline.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.records import Clip

# Encoders round a track's end to whole packets and frames: up to this much may be missing at a window's end.
SLACK_S = 0.05
# Windows that begin later than this are sought, to the key frame before them; earlier ones are reached by decoding from the start.
SEEK_BEYOND_S = 5.0

# A span may end this far behind its file, second by second in the ledger as truncated; farther is a mistake in the table.
BEYOND_S = 60.0
# What every browser plays of MP3: sample rates in Hz, and the bits per second that speech-like sound needs there.
MP3_RATES = {16000: 24000, 22050: 32000, 24000: 32000, 32000: 48000, 44100: 64000, 48000: 64000}
# One thread, and no macroblock tree, which lets x264's output depend on what fresh memory happens to hold.
X264 = {"crf": "23", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One track: its index in the container, start and end in seconds from time zero, `tick` seconds per time stamp."""

    index: int
    start: float
    end: float
    tick: Fraction


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a container says of itself; `zero` is its first presentation time in seconds."""

    zero: float
    end: float
    video: Stream | None
    audio: Stream | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one modality has for one window: its array and the time stamps it was taken at, or the reason why not."""

    array: np.ndarray | None
    pts: tuple[float, ...] = ()
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Second:
    """One window [second, second + 1) of a clip, with a reading per modality."""

    second: int
    readings: dict[str, Reading]


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
        times = [start + offset for start in starts for offset in self.offsets]
        shown = backend.frames(path, probe, times)
        count = len(self.offsets)
        return [self._reading(shown[i * count : (i + 1) * count], start) for i, start in enumerate(starts)]

    def _reading(self, shown: list[tuple[np.ndarray, float] | None], start: float) -> Reading:
        found = [frame for frame in shown if frame is not None]
        if len(found) < len(shown):
            return Reading(array=None, reason="truncated_video", detail=f"no frame is on display in the second at {start:g} s")
        return Reading(
            array=np.stack([_scaled(rgb, self.width, self.height, self.crop) for rgb, _ in found]),
            pts=tuple(round(pts, 6) for _, pts in found),
        )


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
        return Reading(array=np.pad(piece, (0, missing)), pts=(first / self.rate,))


class Decord:
    """decord, where both streams start at time zero."""

    def frames(self, path: str, probe: Probe, times: Sequence[float]) -> list[tuple[np.ndarray, float] | None]:
        import decord

        self._refuse_late(probe.video)
        reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1, fault_tol=0.02)
        spans = reader.get_frame_timestamp(range(len(reader)))
        wanted = [_on_display(spans[:, 0], float(spans[-1, 1]), time, probe) for time in times]
        unique = sorted({index for index in wanted if index is not None})
        # Frames stay at their own size: asked for 32, 48 or 96 pixels, decord2 3.4.0 hands over padded rows as if they were pixels.
        batch = reader.get_batch(unique).asnumpy() if unique else np.empty(0)
        reader.seek(0)
        rgb = dict(zip(unique, batch, strict=True))
        return [None if index is None else (rgb[index], float(spans[index, 0])) for index in wanted]

    def waveform(self, path: str, probe: Probe, rate: int) -> np.ndarray:
        import decord

        self._refuse_late(probe.audio)
        reader = decord.AudioReader(path, ctx=decord.cpu(0), sample_rate=rate, mono=True)
        return np.asarray(reader[:].asnumpy()[0], dtype=np.float32)

    def _refuse_late(self, stream: Stream | None) -> None:
        if stream is not None and abs(stream.start) > stream.tick:
            raise MediaError("av_offset", f"a stream starts at {stream.start:g} s; decord would move it to 0")


class PyAV:
    """PyAV, frame by frame with the time stamps of the container."""

    def frames(self, path: str, probe: Probe, times: Sequence[float]) -> list[tuple[np.ndarray, float] | None]:
        assert probe.video is not None
        order = sorted(range(len(times)), key=times.__getitem__)
        found: list[tuple[np.ndarray, float] | None] = [None] * len(times)
        with av.open(path) as container:
            stream = container.streams[probe.video.index]
            if times[order[0]] > SEEK_BEYOND_S:
                container.seek(int((times[order[0]] + probe.zero) / probe.video.tick), stream=stream)
            pending = iter(order)
            at = next(pending, None)
            for shown, pts, until in _spans(container.decode(stream), probe):
                while at is not None and times[at] + 1e-6 < until:
                    if pts <= times[at] + 1e-6:
                        found[at] = (_upright(shown), pts)
                    at = next(pending, None)
                if at is None:
                    break
        return found

    def waveform(self, path: str, probe: Probe, rate: int) -> np.ndarray:
        assert probe.audio is not None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        pieces = []
        first: float | None = None
        with av.open(path) as container:
            for frame in container.decode(audio=0):
                first = (frame.time or 0.0) - probe.zero if first is None else first
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
        track = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
        shift = round((first or 0.0) * rate)
        return np.pad(track, (shift, 0)) if shift >= 0 else track[-shift:]


BACKENDS: dict[str, Backend] = {"decord": Decord(), "pyav": PyAV()}


def probe(path: str) -> Probe:
    """Read the container's header: streams, starts and ends in seconds from time zero."""
    try:
        with av.open(path) as container:
            # A start below zero is the encoder's priming, which decoders drop; see the time stamps of AAC in MP4.
            zero = max((container.start_time or 0) / av.time_base, 0.0)
            end = (container.duration or 0) / av.time_base
            pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
            return Probe(
                zero=zero,
                end=end,
                video=_stream(pictures[0], zero, end) if pictures else None,
                audio=_stream(container.streams.audio[0], zero, end) if container.streams.audio else None,
            )
    except FileNotFoundError as error:
        raise MediaError("missing_file", f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError("decode_error", f"not a readable media file ({_first_line(error)})") from error


def decode(clip: Clip, tracks: Mapping[str, Track], backends: Sequence[str]) -> list[Second]:
    """Every whole second of the clip, with one reading per modality.

    Args:
        tracks: modality -> how it is read.
        backends: names in BACKENDS, the first that succeeds decides.

    Raises:
        MediaError: the file is unreadable, a required stream is absent, or the span holds no whole second or ends far outside.
    """
    header = probe(clip.path)
    end = header.end if clip.end_s is None else clip.end_s
    if end > header.end + BEYOND_S:
        raise MediaError("bad_span", f"the span ends at {end:g} s, the file at {header.end:g} s")
    count = math.floor(end - clip.start_s + SLACK_S)
    if count < 1:
        raise MediaError("short", f"{max(end - clip.start_s, 0):.2f} s, one second is the shortest")
    starts = [clip.start_s + second for second in range(count)]
    rows = {modality: _first_answer(track, clip.path, header, starts, backends) for modality, track in tracks.items()}
    return [Second(second=k, readings={modality: rows[modality][k] for modality in tracks}) for k in range(count)]


def write_clip(path: Path, frames: Iterable[np.ndarray], fps: int, waveform: np.ndarray, rate: int) -> None:
    """Encode frames u8 [H, W, 3] and a mono waveform float32 [n] in -1..1 as H.264 + AAC, one thread each, no clock inside."""
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video: Any = None
        audio: Any = container.add_stream("aac", rate=rate, layout="mono")
        for index, rgb in enumerate(frames):
            if video is None:
                video = container.add_stream("libx264", rate=fps, options=X264)
                video.height, video.width, video.pix_fmt = rgb.shape[0], rgb.shape[1], "yuv420p"
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
        for first in range(0, len(waveform), 1024):
            piece = av.AudioFrame.from_ndarray(
                waveform[None, first : first + 1024].astype(np.float32), format="fltp", layout="mono"
            )
            piece.rate, piece.pts, piece.time_base = rate, first, Fraction(1, rate)
            container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def png(rgb: np.ndarray) -> bytes:
    """Encode one u8 [H, W, 3] picture as PNG bytes."""
    target = io.BytesIO()
    with av.open(target, "w", format="image2pipe") as container:
        stream: Any = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = rgb.shape[0], rgb.shape[1], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


def mp3(waveform: np.ndarray, rate: int) -> bytes:
    """Encode a mono waveform float32 [n] in -1..1 as MP3, at the next rate that MP3 has; its header keeps the duration exact."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp3", options={"fflags": "+bitexact"}) as container:
        played = min((known for known in MP3_RATES if known >= rate), default=max(MP3_RATES))
        stream: Any = container.add_stream("libmp3lame", rate=played, layout="mono")
        stream.bit_rate = MP3_RATES[played]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None], dtype=np.float32), format="flt", layout="mono")
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def _first_answer(track: Track, path: str, header: Probe, starts: Sequence[float], backends: Sequence[str]) -> list[Reading]:
    refusal = MediaError("decode_error", "no decoder was asked")
    for name in backends:
        try:
            return track.read(path, header, starts, BACKENDS[name])
        except MediaError as error:
            refusal = error
        except Exception as error:  # decord's own error derives from Exception; whatever a decoder says is the clip's fate
            refusal = MediaError("decode_error", f"{name}: {_first_line(error)}")
        if refusal.reason in ("no_audio", "no_video"):
            break
    raise refusal


def _stream(stream: Any, zero: float, container_end: float) -> Stream:
    tick = Fraction(stream.time_base)
    start = float((stream.start_time or 0) * tick) - zero
    end = start + float(stream.duration * tick) if stream.duration else container_end
    return Stream(index=stream.index, start=start, end=end, tick=tick)


def _on_display(starts: np.ndarray, end: float, time: float, probe: Probe) -> int | None:
    """Index of the frame with pts <= time < next pts, compared in ticks; None before the first or after the last."""
    assert probe.video is not None
    tick = float(probe.video.tick)
    ticks = np.rint(starts / tick)
    index = int(np.searchsorted(ticks, math.floor(time / tick + 1e-6), side="right")) - 1
    return index if index >= 0 and time < end + SLACK_S else None


def _spans(frames: Iterator[Any], probe: Probe) -> Iterator[tuple[Any, float, float]]:
    """(frame, its pts, the next frame's pts) in seconds from zero; the last frame stays for one more frame's time."""
    assert probe.video is not None
    last, step = None, SLACK_S
    for frame, following in pairwise(frame for frame in frames if frame.pts is not None):
        pts, until = (float(f.pts * probe.video.tick) - probe.zero for f in (frame, following))
        last, step = following, until - pts
        yield frame, pts, until
    if last is not None:
        pts = float(last.pts * probe.video.tick) - probe.zero
        yield last, pts, pts + max(step, SLACK_S)


def _upright(frame: Any) -> np.ndarray:
    rgb = frame.to_ndarray(format="rgb24")
    return np.rot90(rgb, frame.rotation // 90) if frame.rotation else rgb


def _scaled(rgb: np.ndarray, width: int, height: int, crop: bool) -> np.ndarray:
    native = rgb.shape[1], rgb.shape[0]
    cover = max(width / native[0], height / native[1])
    wide, high = (max(round(side * cover), least) for side, least in zip(native, (width, height), strict=True))
    target = (wide, high) if crop else (width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    scaled = frame.reformat(width=target[0], height=target[1], format="rgb24", interpolation="BICUBIC").to_ndarray()
    top, left = (target[1] - height) // 2, (target[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
