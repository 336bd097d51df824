"""What a container says of its streams: where each starts and ends, in seconds from the first presentation time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from pipeline.core.errors import MediaError

# Encoders round a track's end to whole packets and frames: up to this much of a picture may be missing at a window's end.
SLACK_S = 0.05
# The longest packet of AAC, 1024 samples at 8 kHz; sound may begin and end one packet off.
PACKET_S = 0.128
# So much of a second's sound may be missing, and is silence: it is what the first packet of AAC in MP4 leaves out.
PADDED_S = 0.1
# Time stamps are rounded to milliseconds or to whole packets in many containers: a step this small is no gap.
STEP_S = 0.02
# Encoders need up to this much sound before the first that is heard.
PRIMING_S = 0.2
# A header that tells of more seconds is checked against the packets; packets that tell of more are damaged.
BELIEVED_S, LONGEST_S = 3600.0, 24 * 3600.0
# Names that FFmpeg gives to containers.
ORDERED = {"avi", "asf"}
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}


@dataclass(frozen=True, kw_only=True)
class MediaStream:
    """One track of a container.

    Args:
        index: its number in the container; `alone`: there is no other of its kind.
        start, end: seconds from time zero; `tick`: seconds per time stamp.
        hidden: packets that an edit list hides; decoders need them, and what comes of them is never shown.
        skew: ticks by which FFmpeg shows the stream too early, see `_skew`; `start` has them already.
        ordered: the container stores when packets are decoded and not when pictures are shown (AVI, ASF).
        indexed: the container's index leads to the very frame (MP4 and MOV, Matroska and WebM).
        channels: names of a sound track's channels, e.g. FL and FR.
    """

    index: int
    alone: bool
    start: float
    end: float
    tick: Fraction
    hidden: int
    skew: int
    ordered: bool
    indexed: bool
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MediaProbe:
    """What a container says of itself; `zero` is the first presentation time of its picture and sound in seconds."""

    zero: float
    end: float
    video: MediaStream | None
    audio: MediaStream | None


def probe(path: str) -> MediaProbe:
    """Read the container's header: streams, starts and ends in seconds from time zero.

    Of several tracks of a kind the one counts that players choose; a cover picture is no video.
    """
    try:
        with av.open(path) as container:
            streams = {kind: _choose_stream(container, kind) for kind in ("video", "audio")}
            starts = [
                float(s.start_time * s.time_base)
                for s in streams.values()
                if s and s.start_time is not None
            ]
            zero = _choose_zero(min(starts, default=0.0))
            end = (container.duration or 0) / av.time_base
            end = end if 0 < end <= BELIEVED_S else _scan_end(path, zero)
            known = {
                kind: _describe_stream(stream, zero, end) if stream else None
                for kind, stream in streams.items()
            }
            return MediaProbe(zero=zero, end=end, video=known["video"], audio=known["audio"])
    except FileNotFoundError as error:
        raise MediaError("missing_file", f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            "decode_error", f"not a readable media file ({first_line(error)})"
        ) from error


def _choose_zero(first: float) -> float:
    """Time zero: a start just below 0 is the encoder's priming, which decoders drop; far below, a clock that wrapped (MPEG-TS)."""
    return first if first < -PRIMING_S else max(first, 0.0)


def _choose_stream(container: Any, kind: str) -> Any:
    tracks = [
        s
        for s in container.streams
        if s.type == kind and not s.disposition & av.stream.Disposition.attached_pic
    ]
    best = container.streams.best(kind)
    return best if best in tracks else next(iter(tracks), None)


def refuse_encrypted(packet: Any) -> None:
    """A MediaError if there is a lock on the packet: some decoders make a picture of it all the same."""
    if packet.has_sidedata("encryption_info"):
        raise MediaError("decode_error", "the stream is encrypted")


def refuse_encrypted_file(path: str, stream: MediaStream) -> None:
    """`refuse_encrypted` for every packet of a stream."""
    with av.open(path) as container:
        for packet in container.demux(container.streams[stream.index]):
            refuse_encrypted(packet)


def _scan_end(path: str, zero: float) -> float:
    """The end of a file whose header tells none, or one that is hard to believe: that of its last packet."""
    end = zero
    with av.open(path) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.stream.type in ("audio", "video"):
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    if end - zero > LONGEST_S:
        raise MediaError(
            "decode_error", f"the file's time stamps reach {(end - zero) / 3600:.0f} hours"
        )
    return end - zero


def _describe_stream(stream: Any, zero: float, container_end: float) -> MediaStream:
    tick, codec = Fraction(stream.time_base), stream.codec_context
    hidden = sum(entry.is_discard for entry in stream.index_entries)
    skew = _skew(stream) if hidden and stream.type == "video" else 0
    start = 0.0 if stream.start_time is None else float((stream.start_time + skew) * tick) - zero
    return MediaStream(
        index=stream.index,
        alone=[other.type for other in stream.container.streams].count(stream.type) == 1,
        start=start,
        end=start + float(stream.duration * tick) if stream.duration else container_end,
        tick=tick,
        hidden=hidden,
        skew=skew,
        ordered=stream.container.format.name in ORDERED,
        indexed=stream.container.format.name in INDEXED,
        channels=tuple(channel.name for channel in codec.layout.channels)
        if stream.type == "audio" and codec
        else (),
    )


def _skew(stream: Any) -> int:
    """Ticks by which the stream's pictures come too early.

    An edit list may begin between two frames, as where a clip was cut without encoding it again. FFmpeg then moves the first
    whole frame to time zero, and every frame with it, while the sound stays. Its plain reading of the list keeps the true times.
    """
    shown = {entry.pos: entry.timestamp for entry in stream.index_entries}
    with av.open(stream.container.name, options={"advanced_editlist": "0"}) as container:
        true = {
            entry.pos: entry.timestamp for entry in container.streams[stream.index].index_entries
        }
    return next((true[pos] - stamp for pos, stamp in shown.items() if pos in true), 0)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
