"""Open media files, and measure by their packets what a header does not know.

FFmpeg opens the file alone: no other file that it names, and no network.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.logging

from pipeline.core.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

# FFmpeg's names of formats whose files only name others.
PLAYLISTS = {
    "applehttp",
    "concat",
    "dash",
    "hls",
    "image2",
    "imf",
    "rtp",
    "rtsp",
    "sap",
    "sdp",
    "vobsub",
    "webm_dash_manifest",
}
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
# Formats that hold no duration: FFmpeg takes it from time stamps near the end, and a clock may
# have started again before.
UNTIMED = {"mpeg", "mpegts"}
# FFmpeg's message when it divides a file's size by its bit rate.
GUESS = "Estimating duration from bitrate"
# Sizes in the header of an AVI or WAV whose writer could not go back to fill them in.
OPEN_SIZES = {0, 0xFFFFFFFF}
# Boxes of an MP4 that are looked at for a fragment.
MAX_BOXES = 1000


def open_container(path: str, options: dict[str, str] | None = None) -> Any:
    """Open a local media file for reading, and return PyAV's container.

    Args:
        path: a local file; a colon in its name begins no protocol.
        options: of FFmpeg's demuxer.

    Raises:
        MediaError: the file is a playlist.
    """
    allowed = {"protocol_whitelist": "file", **(options or {})}
    container = av.open(f"file:{Path(path).absolute()}", container_options=allowed)
    name = container.format.name
    if PLAYLISTS & set(name.split(",")):
        container.close()
        raise MediaError("decode_error", f"a playlist ({name}) names other files; give those")
    return container


@contextmanager
def capture_messages(level: int = av.logging.WARNING) -> Iterator[list[str]]:
    """Collect FFmpeg's messages while the block lasts.

    Args:
        level: of av.logging; less important messages are left out.
    """
    messages: list[str] = []
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_skip_repeated(False)
    av.logging.set_level(level)
    try:
        # Not of this thread alone: decoders have their own.
        with av.logging.Capture(local=False) as logs:
            try:
                yield messages
            finally:
                messages += [text for _, _, text in logs]
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Where the streams of a file end.

    Args:
        ends: stream's index -> end of its last packet, in seconds of the container's clock.
        unstamped: indices of streams without time stamps, as in a raw H.264 file; their packets
            have durations alone.
        known: whether the header says when the file ends; otherwise FFmpeg has guessed.
        listed: whether `ends` come from an index of all packets, even if the file is cut short.
    """

    ends: dict[int, float]
    unstamped: frozenset[int]
    known: bool
    listed: bool


def measure_extent(path: str, container: Any, messages: list[str]) -> Extent:
    """Return where a file's streams end, by its index or by reading its packets.

    Args:
        path: a local file.
        container: of the file, just opened.
        messages: of FFmpeg as it opened the file.
    """
    guessed = container.duration is None or any(GUESS in message for message in messages)
    known = not guessed and container.format.name not in UNTIMED and not _is_unfinished(path)
    if container.format.name == MP4 and not _is_fragmented(path):
        ends = _read_index(container)
        return Extent(ends=ends, unstamped=frozenset(), known=known, listed=True)
    stamped, counted = _scan_packets(path)
    unstamped = frozenset(counted.keys() - stamped.keys())
    return Extent(ends=counted | stamped, unstamped=unstamped, known=known, listed=False)


def _is_unfinished(path: str) -> bool:
    """Tell whether a RIFF file (AVI, WAV) was streamed: its header then has no true size."""
    with Path(path).open("rb") as stream:
        head = stream.read(8)
    return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") in OPEN_SIZES


def read_margins(container: Any) -> dict[int, tuple[int, int, int, int]]:
    """Return the pixels that a container cuts off its pictures (PixelCrop, clap), by stream.

    They are those at the left, right, top and bottom. PyAV gives them in FFmpeg's summary alone.

    Args:
        container: PyAV's container.
    """
    with capture_messages(av.logging.INFO):
        summary = container.dumps_format()
    margins, index = {}, -1
    for line in summary.splitlines():
        if stream := re.match(r"\s*Stream #0:(\d+)", line):
            index = int(stream[1])
        elif found := re.fullmatch(r"\s*Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)\s*", line):
            left, right, top, bottom = map(int, found.groups())
            margins[index] = left, right, top, bottom
    return margins


def _is_fragmented(path: str) -> bool:
    """Tell whether an MP4 has a top-level box `moof`: its index then covers the beginning alone."""
    position = 0
    with Path(path).open("rb") as stream:
        for _ in range(MAX_BOXES):
            stream.seek(position)
            head = stream.read(16)
            if head[4:8] == b"moof":
                return True
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if len(head) < 8 or size < 8:
                return False
            position += size
    return False


def _read_index(container: Any) -> dict[int, float]:
    """Return the ends of streams whose index lists all packets.

    The header's durations may be too short; the index then goes on behind them.
    """
    ends = {}
    for stream in _find_tracks(container):
        end = (stream.start_time or 0) + (stream.duration or 0)
        shown = (entry for entry in reversed(stream.index_entries) if not entry.is_discard)
        last = next(shown, None)
        ends[stream.index] = float(max(end, last.timestamp if last else end) * stream.time_base)
    return ends


def _scan_packets(path: str) -> tuple[dict[int, float], dict[int, float]]:
    """Return the ends of streams by time stamps, and the sums of their packets' durations.

    Packets are read up to where the file is unreadable.
    """
    ends: dict[int, float] = {}
    sums: dict[int, float] = {}
    with open_container(path) as container, suppress(av.error.FFmpegError):
        for packet in container.demux(_find_tracks(container)):
            index, duration = packet.stream_index, packet.duration or 0
            stamp = packet.dts if packet.pts is None else packet.pts
            if packet.size:
                sums[index] = sums.get(index, 0.0) + float(duration * packet.time_base)
            if stamp is not None:
                end = float((stamp + duration) * packet.time_base)
                ends[index] = max(ends.get(index, end), end)
    return ends, sums


def _find_tracks(container: Any) -> list[Any]:
    return [stream for stream in container.streams if stream.type in ("audio", "video")]
