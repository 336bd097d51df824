"""Truth clips: flash and beep at a known time in a table of containers and codecs, and what a backend makes of them.

Every frame carries its number as bars of light and dark, so that a decoder is held to the very frame and not only to a time
stamp. The first beep and the flash come together, `ONSET` seconds after the writer's zero.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline import media
from pipeline.errors import MediaError
from pipeline.media import Picture, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SECONDS, ONSET, BEEP_S, BEEP_HZ = Fraction(12, 5), Fraction(36, 25), 0.3, 1000
SIDE, BARS = 64, 8
# A beep may be heard this far from where it was written: lossy codecs smear an attack over part of a block.
BEEP_WITHIN_S = 0.02
# Heard at this rate, an onset is told to a sixteenth of a millisecond.
HEARD_HZ = 16000
QUIET = 0.1
STEADY = (Fraction(1, 25),)
NTSC = (Fraction(1001, 30000),)
UNEVEN = (Fraction(1, 25), Fraction(3, 25), Fraction(2, 25), Fraction(1, 25), Fraction(5, 25))
# Small and quick, one thread each, so that the same case gives the same clip.
ENCODERS = {
    "libx264": {"preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"},
    "mpeg4": {"qscale": "3", "threads": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "threads": "1", "lag-in-frames": "8", "auto-alt-ref": "1"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One clip of the table.

    Args:
        steps: seconds from frame to frame, over and over: one value is a constant rate.
        b_frames: between reference frames, in encoders that have them.
        video_start, audio_start: seconds at which a stream begins; below zero, an edit list hides what comes before zero.
    """

    container: str
    video: str
    audio: str
    rate: int
    layout: str
    steps: tuple[Fraction, ...] = STEADY
    b_frames: int = 0
    video_start: Fraction = Fraction(0)
    audio_start: Fraction = Fraction(0)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What makes the case, in a few words."""
        pace = {STEADY: "25/s", NTSC: "29.97/s", UNEVEN: "uneven"}[self.steps]
        words = [self.container, self.video.removeprefix("lib"), pace, f"{self.b_frames} B" if self.b_frames else ""]
        words += [self.audio.removeprefix("lib"), f"{self.rate / 1000:g} kHz", self.layout]
        words += [f"{noun} {self._told(start)}" for noun, start in (("video", self.video_start), ("audio", self.audio_start)) if start]
        return " ".join(word for word in [*words, *self.options.values()] if word)

    @staticmethod
    def _told(start: Fraction) -> str:
        return f"{float(start):+g} s"

    @property
    def tick(self) -> float:
        """Seconds per time stamp: Matroska counts milliseconds, the others are written finer than a decoder's answer is told."""
        return 0.001 if self.container in ("mkv", "webm") else 2e-6


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What was written: each frame's number and time, from the first thing that is presented, and when the beep begins."""

    numbers: tuple[int, ...]
    pts: tuple[float, ...]
    beep: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What backends made of one stream of a case: `ok`, `wrong` or `refused`, the largest error in milliseconds, and what is wrong."""

    verdict: str
    error_ms: float
    detail: str


# A whole number of frames, not of key-frame distances: what is hidden must be decoded all the same.
LATE, HIDDEN = Fraction(12, 25), Fraction(-10, 25)
CASES = (
    Case(container="mp4", video="libx264", audio="aac", rate=44100, layout="stereo"),
    Case(container="mp4", video="libx264", audio="aac", rate=48000, layout="5.1", b_frames=3),
    Case(container="mp4", video="libx264", audio="aac", rate=16000, layout="mono", steps=UNEVEN, b_frames=2),
    Case(container="mp4", video="libx264", audio="aac", rate=44100, layout="mono", b_frames=2, audio_start=LATE),
    Case(container="mp4", video="libx264", audio="aac", rate=44100, layout="stereo", b_frames=2, video_start=LATE),
    Case(container="mp4", video="libx264", audio="aac", rate=48000, layout="stereo", b_frames=2, video_start=HIDDEN),
    Case(container="mp4", video="libx264", audio="aac", rate=44100, layout="stereo", video_start=HIDDEN, audio_start=HIDDEN),
    Case(
        container="mp4", video="libx264", audio="aac", rate=32000, layout="mono", b_frames=2,
        options={"movflags": "frag_keyframe+empty_moov+delay_moov"},
    ),
    Case(container="mp4", video="mpeg4", audio="libmp3lame", rate=44100, layout="stereo", b_frames=2),
    Case(container="mp4", video="libvpx-vp9", audio="aac", rate=96000, layout="stereo"),
    Case(container="mp4", video="libsvtav1", audio="aac", rate=8000, layout="mono", steps=NTSC),
    Case(container="mov", video="libx264", audio="pcm_s16le", rate=48000, layout="stereo", b_frames=2),
    Case(container="mov", video="mpeg4", audio="pcm_s16le", rate=22050, layout="mono", audio_start=LATE),
    Case(container="mov", video="libx264", audio="aac", rate=48000, layout="5.1", steps=UNEVEN, video_start=HIDDEN),
    Case(container="mkv", video="libx264", audio="flac", rate=96000, layout="stereo", b_frames=2),
    Case(container="mkv", video="libx264", audio="pcm_s16le", rate=8000, layout="mono", steps=UNEVEN),
    Case(container="mkv", video="mpeg4", audio="libmp3lame", rate=48000, layout="stereo", steps=NTSC),
    Case(container="mkv", video="libvpx-vp9", audio="libopus", rate=48000, layout="5.1", video_start=LATE),
    Case(container="mkv", video="libx264", audio="flac", rate=44100, layout="5.1", audio_start=LATE, b_frames=2),
    Case(container="webm", video="libvpx-vp9", audio="libopus", rate=48000, layout="mono"),
    Case(container="webm", video="libvpx-vp9", audio="libopus", rate=24000, layout="stereo", steps=UNEVEN),
    Case(container="webm", video="libsvtav1", audio="libopus", rate=48000, layout="stereo", audio_start=LATE),
    Case(container="avi", video="mpeg4", audio="pcm_s16le", rate=44100, layout="stereo"),
    Case(container="avi", video="libx264", audio="pcm_s16le", rate=8000, layout="mono"),
    Case(container="avi", video="mpeg4", audio="pcm_s16le", rate=96000, layout="5.1", steps=NTSC),
    Case(container="avi", video="mpeg4", audio="pcm_s16le", rate=16000, layout="mono", b_frames=2),
    Case(container="mpegts", video="libx264", audio="aac", rate=48000, layout="stereo", b_frames=2, audio_start=LATE),
)


def write(case: Case, path: Path) -> Truth:
    """Write the clip of a case, and say what is in it."""
    times = _times(case)
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder tells the terminal all about itself otherwise
    with av.open(str(path), "w", format={"mkv": "matroska"}.get(case.container, case.container), options=case.options) as container:
        video: Any = container.add_stream(case.video, rate=1 / min(case.steps), options={**ENCODERS[case.video], "bf": str(case.b_frames)})
        video.width = video.height = SIDE
        video.pix_fmt, video.gop_size = "yuv420p", 12
        # AVI knows frames per second and nothing finer.
        video.codec_context.time_base = min(case.steps) if case.container == "avi" else Fraction(1, 30000)
        audio: Any = container.add_stream(case.audio, rate=case.rate, layout=case.layout)
        for number, time in enumerate(times):
            container.mux(video.encode(_frame(number, time, video.codec_context.time_base)))
        for piece in _pieces(case, audio):
            container.mux(audio.encode(piece))
        container.mux([*video.encode(None), *audio.encode(None)])
    shown = [number for number, time in enumerate(times) if time >= 0]
    zero = min(max(case.video_start, 0), max(case.audio_start, 0))
    return Truth(numbers=tuple(shown), pts=tuple(float(times[n] - zero) for n in shown), beep=float(ONSET - zero))


def _times(case: Case) -> list[Fraction]:
    times = [case.video_start]
    while times[-1] < SECONDS - max(case.steps):
        times.append(times[-1] + case.steps[(len(times) - 1) % len(case.steps)])
    return times


def _frame(number: int, time: Fraction, time_base: Fraction) -> Any:
    picture = np.full((SIDE, SIDE), 220 if time >= ONSET else 30, np.uint8)
    bits = np.array([number >> bit & 1 for bit in range(BARS)], np.uint8)
    picture[SIDE // 2 :] = np.repeat(30 + 190 * bits, SIDE // BARS)
    frame = av.VideoFrame.from_ndarray(np.repeat(picture[:, :, None], 3, 2), format="rgb24")
    frame.time_base, frame.pts = time_base, round(time / time_base)
    return frame


def _pieces(case: Case, stream: Any) -> Iterator[Any]:
    first = round(case.audio_start * case.rate)
    times = np.arange(first, round(SECONDS * case.rate)) / case.rate
    on = (times >= float(ONSET)) & (times < float(ONSET) + BEEP_S)
    tone = np.where(on, np.sin(2 * np.pi * BEEP_HZ * (times - float(ONSET)) + np.pi / 4), 0) * 16000
    layout = av.AudioLayout(case.layout)
    for start in range(0, len(tone), 1024):
        packed = np.repeat(tone[start : start + 1024].astype(np.int16), len(layout.channels))[None]
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=case.layout)
        frame.rate, frame.pts, frame.time_base = case.rate, first + start, Fraction(1, case.rate)
        yield frame


def check_frames(case: Case, path: Path, truth: Truth, backends: Sequence[str]) -> Finding:
    """Ask backends for every frame, at its first, middle and last tick, and for none before the first and after the last."""
    tick = max(case.tick, 1e-4)
    ends = [*truth.pts[1:], truth.pts[-1] + float(min(case.steps))]
    asked: list[tuple[float, int | None]] = [(truth.pts[0] - 2 * tick, None), (ends[-1] + 1.0, None)]
    for index, (begin, end) in enumerate(zip(truth.pts, ends, strict=True)):
        asked += [(begin + (tick if case.tick >= tick else 0.0), index), ((begin + end) / 2, index), (end - 1.5 * tick, index)]
    picture = Picture(width=SIDE, height=SIDE, crop=False, offsets=(0.0,))
    try:
        readings = media.read(str(path), picture, [time for time, _ in asked], backends)
    except MediaError as error:
        return _refused(error)
    errors, wrong = [], []
    for (time, index), reading in zip(asked, readings, strict=True):
        if reading.array is None or index is None:
            if (reading.array is None) != (index is None):
                wrong.append(f"at {time:.4f} s there is {'no frame' if reading.array is None else 'a frame'}")
            continue
        errors.append(abs(reading.pts[0] - truth.pts[index]))
        if errors[-1] > case.tick or _number(reading.array[0]) != truth.numbers[index]:
            wrong.append(f"at {time:.4f} s frame {_number(reading.array[0])} of {reading.pts[0]:.4f} s, not {truth.numbers[index]}")
    return Finding(verdict="wrong" if wrong else "ok", error_ms=1000 * max(errors, default=np.nan), detail="; ".join(wrong[:3]))


def check_beep(path: Path, truth: Truth, backends: Sequence[str]) -> Finding:
    """Ask backends for the sound, and look for the beep where it was written."""
    try:
        heard = media.read(str(path), Sound(rate=HEARD_HZ), [0.0, 1.0], backends)
    except MediaError as error:
        return _refused(error)
    loud = np.abs(np.concatenate([np.zeros(HEARD_HZ, np.float32) if r.array is None else r.array for r in heard]))
    error_s = abs(float(np.argmax(loud > 0.3 * loud.max())) / HEARD_HZ - truth.beep) if loud.max() > QUIET else np.nan
    detail = "" if error_s <= BEEP_WITHIN_S else f"the beep is {1000 * error_s:.1f} ms off"
    return Finding(verdict="wrong" if detail else "ok", error_ms=1000 * error_s, detail=detail)


def _refused(error: MediaError) -> Finding:
    return Finding(verdict="refused", error_ms=np.nan, detail=f"{error.reason}: {error.detail}")


def _number(rgb: np.ndarray) -> int:
    bars = rgb[SIDE // 2 + 4 : -4].mean((0, 2)).reshape(BARS, -1)[:, 2:-2].mean(1)
    return int((bars > 125) @ (1 << np.arange(BARS)))
