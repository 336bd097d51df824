"""Read from a container's header where each stream starts and ends.

Times are seconds from time zero, the first presentation time of picture and sound.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import av

from pipeline.core.errors import MediaError

if TYPE_CHECKING:
    from pipeline.core.paths import AnyPath
from pipeline.media.container import (
    MP4,
    Extent,
    capture_messages,
    measure_extent,
    open_container,
    read_margins,
)
from pipeline.media.geometry import PictureGeometry, check_aspect

# Encoders round a track's end to whole packets and frames: this much may be missing of the picture
# at a window's end.
SLACK_S = 0.05
# The longest packet of AAC, 1024 samples at 8 kHz; sound may begin and end one packet off.
PACKET_S = 0.128
# This much of a second's sound may be missing, and becomes silence: the first packet of AAC in MP4
# leaves out as much.
MAX_PADDING_S = 0.1
# Many containers round time stamps to milliseconds or to whole packets: a step this small is no
# gap.
MAX_JITTER_S = 0.02
# Encoders put up to this much sound before the first that is played.
PRIMING_S = 0.2
# A longer duration is taken from the packets; packets beyond a day are damaged.
MAX_TRUSTED_S, MAX_DURATION_S = 3600.0, 24 * 3600.0
# Packets may go on this long behind a header's end; if they go on longer, the header is wrong.
MAX_EXCESS_S = 0.5
# A longer file is read in parts, so that memory does not grow with its length.
LONG_S = 120.0
# FFmpeg's names of containers.
ORDERED = {"avi", "asf"}
INDEXED = {MP4, "matroska,webm"}


@dataclass(frozen=True, kw_only=True)
class MediaStream:
    """One track of a container.

    Args:
        index: its number in the container.
        alone: whether the container has no other stream of its kind.
        start: when it starts, in seconds from time zero.
        end: when it ends, in seconds from time zero.
        tick: seconds per unit of its time stamps.
        hidden: packets that an edit list hides; decoders need them, but they are never shown.
        skew: ticks by which FFmpeg shows the stream too early, see `_skew`; `start` includes them.
        ordered: whether the container stores when packets are decoded and not when pictures are
            shown (AVI, ASF).
        indexed: whether the container's index leads to the very frame (MP4 and MOV, Matroska and
            WebM).
        stamped: whether its packets have time stamps; otherwise they are counted.
        channels: names of a sound track's channels, e.g. FL and FR.
        picture: geometry of a video's frames; None for a sound track.
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
    stamped: bool
    channels: tuple[str, ...]
    picture: PictureGeometry | None


@dataclass(frozen=True, kw_only=True)
class MediaProbe:
    """A container's header.

    Args:
        zero: the first presentation time of picture and sound, in seconds of the container's clock.
        end: when the file ends, in seconds from time zero.
        video: the picture track, or None.
        audio: the sound track, or None.
    """

    zero: float
    end: float
    video: MediaStream | None
    audio: MediaStream | None

    @property
    def is_long(self) -> bool:
        """Whether the file is read in parts."""
        return self.end > LONG_S


def probe(path: AnyPath) -> MediaProbe:
    """Read the header of a media file: its streams, and when they start and end.

    If there are several tracks of a kind, the one that players choose counts. A cover picture is
    no video. Where the header does not know when the file ends, its packets are read through.

    Args:
        path: a local file.

    Raises:
        MediaError: the file is missing, or is no readable media file.
    """
    path = os.fspath(path)
    try:
        status = os.stat(path)  # noqa: PTH116
        # Spans of one recording share a probe.
        return _probe(path, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        raise MediaError("missing_file", f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            "decode_error", f"not a readable media file ({first_line(error)})"
        ) from error


@lru_cache(maxsize=64)
def _probe(path: str, size: int, modified_ns: int) -> MediaProbe:
    """Probe a file; its size and time tell the cache whether it has changed."""
    with capture_messages() as messages:
        container = open_container(path)
    with container:
        extent = measure_extent(path, container, messages)
        streams = {kind: _choose_stream(container, kind) for kind in ("video", "audio")}
        starts = [
            float(s.start_time * s.time_base)
            for s in streams.values()
            if s and s.start_time is not None
        ]
        zero = _choose_zero(min(starts, default=0.0))
        end = _choose_end((container.duration or 0) / av.time_base, extent, zero)
        tracks = {
            kind: _describe_stream(stream, zero, end, extent) if stream else None
            for kind, stream in streams.items()
        }
        return MediaProbe(zero=zero, end=end, video=tracks["video"], audio=tracks["audio"])


def _choose_end(header_end: float, extent: Extent, zero: float) -> float:
    """Return when a file ends, in seconds from time zero.

    A header that says more than the packets is right about a file that was cut short, unless an
    index lists all packets.
    """
    measured = max(extent.ends.values()) - zero if extent.ends else header_end
    known = extent.known and (0 < header_end <= MAX_TRUSTED_S or extent.listed)
    excess = measured - header_end
    if not known or excess > MAX_EXCESS_S or (extent.listed and -excess > MAX_EXCESS_S):
        if measured > MAX_DURATION_S:
            hours = f"{measured / 3600:.0f} hours"
            raise MediaError("decode_error", f"the file's time stamps reach {hours}")
        return max(measured, 0.0)
    return header_end


def _choose_zero(first: float) -> float:
    """Return time zero, given the first start time.

    A start just below 0 is the encoder's priming, which decoders drop. One far below 0 comes from
    a clock that wrapped (MPEG-TS).
    """
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
    """Raise MediaError if the packet is encrypted; some decoders would make a picture of it.

    Args:
        packet: PyAV's packet.
    """
    if packet.has_sidedata("encryption_info"):
        raise MediaError("decode_error", "the stream is encrypted")


def _describe_stream(stream: Any, zero: float, end: float, extent: Extent) -> MediaStream:
    tick, codec = Fraction(stream.time_base), stream.codec_context
    hidden = sum(entry.is_discard for entry in stream.index_entries)
    skew = _skew(stream) if hidden and stream.type == "video" else 0
    start = 0.0 if stream.start_time is None else float((stream.start_time + skew) * tick) - zero
    return MediaStream(
        index=stream.index,
        alone=[other.type for other in stream.container.streams].count(stream.type) == 1,
        start=start,
        end=_choose_stream_end(stream, start, zero, end, extent),
        tick=tick,
        hidden=hidden,
        skew=skew,
        ordered=stream.container.format.name in ORDERED,
        indexed=stream.container.format.name in INDEXED,
        stamped=stream.index not in extent.unstamped,
        channels=tuple(channel.name for channel in codec.layout.channels)
        if stream.type == "audio" and codec
        else (),
        picture=_describe_picture(stream) if stream.type == "video" and codec else None,
    )


def _describe_picture(stream: Any) -> PictureGeometry:
    return PictureGeometry(
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        aspect=check_aspect(stream.sample_aspect_ratio),
        margins=read_margins(stream.container).get(stream.index, (0, 0, 0, 0)),
    )


def _choose_stream_end(
    stream: Any, start: float, zero: float, file_end: float, extent: Extent
) -> float:
    """Return when a stream ends, in seconds from time zero."""
    header_end = start + float(stream.duration * stream.time_base) if stream.duration else file_end
    measured = extent.ends.get(stream.index, header_end + zero) - zero
    wrong = not extent.known or measured - header_end > MAX_EXCESS_S
    return measured if wrong else header_end


def _skew(stream: Any) -> int:
    """Return the ticks by which the stream's pictures come too early.

    An edit list may begin between two frames, as where a clip was cut without encoding it again.
    FFmpeg then moves the first whole frame to time zero, and every frame with it, while the sound
    stays. Its plain reading of the list keeps the true times.
    """
    moved = {entry.pos: entry.timestamp for entry in stream.index_entries}
    path = stream.container.name.removeprefix("file:")
    with open_container(path, {"advanced_editlist": "0"}) as container:
        true = {
            entry.pos: entry.timestamp for entry in container.streams[stream.index].index_entries
        }
    return next((true[pos] - stamp for pos, stamp in moved.items() if pos in true), 0)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without a path, at most 200 characters.

    Args:
        error: any exception; if it has no message, the name of its type is returned.
    """
    message = str(getattr(error, "strerror", None) or error).strip()
    return (message or type(error).__name__).splitlines()[0][:200]
