"""Write reference clips: a flash and a beep at one known time, and a number in every frame."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.media.selftest.cases import ReferenceClip

SECONDS, ONSET, BEEP_S, BEEP_HZ = Fraction(12, 5), Fraction(36, 25), 0.3, 1000
SIDE, BARS, DARK, LIGHT = 64, 8, 30, 220
FORMATS = {"mkv": "matroska", "mpg": "mpeg", "ts": "mpegts"}
# Small and quick, one thread each, so that the same case gives the same clip.
ENCODERS = {
    "libx264": {"preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"},
    "mpeg2video": {"qscale": "3", "threads": "1"},
    "mpeg4": {"qscale": "3", "threads": "1"},
    "libvpx-vp9": {
        "deadline": "realtime",
        "cpu-used": "8",
        "threads": "1",
        "lag-in-frames": "8",
        "auto-alt-ref": "1",
    },
    "libsvtav1": {"preset": "11", "svtav1-params": "lp=1"},
}


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """The content of a reference clip; times are seconds from the first presentation time.

    Args:
        numbers: of each frame that is shown.
        pts: when each of these frames is shown.
        beep: when the beep begins.
    """

    numbers: tuple[int, ...]
    pts: tuple[float, ...]
    beep: float


def write(case: ReferenceClip, path: Path) -> GroundTruth:
    """Write the clip of a case, and return its content.

    Args:
        case: a row of the table.
        path: the file to write.
    """
    times = _list_times(case)
    os.environ.setdefault("SVT_LOG", "1")  # silences the AV1 encoder
    options = {"movflags": case.movflags} if case.movflags else {}
    kind = FORMATS.get(case.container, case.container)
    with _restore_scheduling(), av.open(str(path), "w", format=kind, options=options) as container:
        video: Any = container.add_stream(
            case.video,
            rate=1 / min(case.steps),
            options={**ENCODERS[case.video], "bf": str(case.b_frames)},
        )
        video.width = video.height = SIDE
        video.pix_fmt, video.gop_size = "yuv420p", 12
        # The time stamps of AVI and MPEG count frames.
        video.codec_context.time_base = (
            min(case.steps) if case.container in ("avi", "mpg") else Fraction(1, 30000)
        )
        audio: Any = container.add_stream(case.audio, rate=case.rate, layout=case.layout)
        for number, time in enumerate(times):
            container.mux(video.encode(_draw_frame(number, time, video.codec_context.time_base)))
        for piece in _synthesise_audio(case):
            container.mux(audio.encode(piece))
        container.mux([*video.encode(None), *audio.encode(None)])
    shown = [number for number, time in enumerate(times) if time >= 0]
    zero = max(min(case.video_start, case.audio_start), Fraction(0))
    pts = tuple(float(times[number] - zero) for number in shown)
    return GroundTruth(numbers=tuple(shown), pts=pts, beep=float(ONSET - zero))


@contextmanager
def _restore_scheduling() -> Iterator[None]:
    """Undo the AV1 encoder's change of scheduling.

    It makes its caller a real-time process where it may; later child processes would starve others.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def _list_times(case: ReferenceClip) -> list[Fraction]:
    times = [case.video_start]
    while times[-1] < SECONDS - max(case.steps):
        times.append(times[-1] + case.steps[(len(times) - 1) % len(case.steps)])
    return times


def _draw_frame(number: int, time: Fraction, time_base: Fraction) -> Any:
    picture = np.full((SIDE, SIDE), LIGHT if time >= ONSET else DARK, np.uint8)
    bits = np.array([number >> bit & 1 for bit in range(BARS)], np.uint8)
    picture[SIDE // 2 :] = np.repeat(DARK + (LIGHT - DARK) * bits, SIDE // BARS)
    frame = av.VideoFrame.from_ndarray(np.repeat(picture[:, :, None], 3, 2), format="rgb24")
    frame.time_base, frame.pts = time_base, round(time / time_base)
    return frame


def _synthesise_audio(case: ReferenceClip) -> Iterator[Any]:
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


def read_number(rgb: np.ndarray) -> int:
    """Read the number that a decoded frame carries as bars of light and dark.

    Args:
        rgb: u8 [SIDE, SIDE, 3].
    """
    bars = rgb[SIDE // 2 + 4 : -4].mean((0, 2)).reshape(BARS, -1)[:, 2:-2].mean(1)
    return int((bars > (DARK + LIGHT) / 2) @ (1 << np.arange(BARS)))
