"""What a container says of its streams: where each starts and ends, in seconds from the first presentation time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from pipeline.errors import MediaError

# Encoders round a track's end to whole packets and frames: up to this much may be missing at a window's end.
SLACK_S = 0.05


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
        raise MediaError("decode_error", f"not a readable media file ({first_line(error)})") from error


def _stream(stream: Any, zero: float, container_end: float) -> Stream:
    tick = Fraction(stream.time_base)
    start = float((stream.start_time or 0) * tick) - zero
    end = start + float(stream.duration * tick) if stream.duration else container_end
    return Stream(index=stream.index, start=start, end=end, tick=tick)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
