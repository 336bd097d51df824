"""Door to decord and PyAV: a clip's seconds as frames and waveform, on one timeline.

Time zero is the container's first presentation time. decord rebases every stream to its own zero,
so it is asked only where the streams start together. PyAV keeps the time stamps and answers for
the rest, and gives the second opinion when decord fails.

This room never imports torch. decord is imported where it is used, in a worker: torch, imported
after it, takes its matrix products from NVBLAS and crashes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import MediaError
from pipeline.core.paths import fetch, to_path
from pipeline.media.decord_backend import Decord
from pipeline.media.encode import encode_mp3, encode_png, write_clip
from pipeline.media.pyav_backend import PyAV
from pipeline.media.timeline import SLACK_S, MediaProbe, MediaStream, first_line, probe
from pipeline.media.tracks import Backend, FrameTrack, Reading, SoundTrack, Track

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import Clip

__all__ = [
    "BACKENDS",
    "Backend",
    "FrameTrack",
    "MediaProbe",
    "MediaStream",
    "Piece",
    "Reading",
    "Second",
    "SoundTrack",
    "Track",
    "decode",
    "decode_pieces",
    "encode_mp3",
    "encode_png",
    "probe",
    "read",
    "write_clip",
]

# A span may end this far behind its file: its last seconds are then truncated in the ledger.
# A span that ends later is a mistake in the table.
MAX_OVERRUN_S = 60.0
# Windows of a long file that are in memory at once; blocks of sound divide them evenly.
PIECE_WINDOWS = 120
BACKENDS: dict[str, Backend] = {"decord": Decord(), "pyav": PyAV()}


@dataclass(frozen=True, kw_only=True)
class Second:
    """One window [second, second + 1) of a clip, with a reading per modality."""

    second: int
    readings: dict[str, Reading]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Windows of a clip that follow one another.

    Args:
        seconds: the windows.
        first: whether the clip begins with them.
        last: whether no more follow.
    """

    seconds: list[Second]
    first: bool
    last: bool


def decode(clip: Clip, tracks: Mapping[str, Track], backends: Sequence[str]) -> list[Second]:
    """Decode every whole second of a clip; a clip behind a URL is fetched first.

    Args:
        clip: a row of the manifest.
        tracks: modality -> how it is read.
        backends: names in BACKENDS, in the order in which they are tried.

    Raises:
        MediaError: the file is unreadable, a required stream is absent, or the span holds no
            whole second or ends far outside the file.
    """
    pieces = decode_pieces(clip, tracks, backends)
    return [second for piece in pieces for second in piece.seconds]


def decode_pieces(
    clip: Clip, tracks: Mapping[str, Track], backends: Sequence[str]
) -> Generator[Piece, None, None]:
    """Decode every whole second of a clip, piece by piece where its file is long.

    Args:
        clip: a row of the manifest.
        tracks: modality -> how it is read.
        backends: names in BACKENDS, in the order in which they are tried.

    Raises:
        MediaError: as in `decode`.
    """
    with fetch(clip.path) as path:
        header = probe(path)
        for track in tracks.values():
            track.require(header)
        count = _count_seconds(clip, header)
        size = PIECE_WINDOWS if header.is_long else count
        for first in range(0, count, size):
            numbers = range(first, min(first + size, count))
            starts = [clip.start_s + number for number in numbers]
            rows = {
                modality: _read_with_fallback(track, path, header, starts, backends)
                for modality, track in tracks.items()
            }
            seconds = [
                Second(second=number, readings={m: rows[m][at] for m in tracks})
                for at, number in enumerate(numbers)
            ]
            yield Piece(seconds=seconds, first=first == 0, last=numbers.stop == count)


def _count_seconds(clip: Clip, header: MediaProbe) -> int:
    end = header.end if clip.end_s is None else clip.end_s
    if end > header.end + MAX_OVERRUN_S:
        raise MediaError("bad_span", f"the span ends at {end:g} s, the file at {header.end:g} s")
    count = math.floor(end - clip.start_s + SLACK_S)
    if count < 1:
        raise MediaError("short", f"{max(end - clip.start_s, 0):.2f} s, one second is the shortest")
    return count


def read(
    path: AnyPath, track: Track, starts: Sequence[float], backends: Sequence[str]
) -> list[Reading]:
    """Read windows of a file; they may begin anywhere.

    Args:
        path: a media file, or a URL.
        track: how the modality is read.
        starts: where each window of one second begins, in seconds from time zero.
        backends: names in BACKENDS, in the order in which they are tried.

    Raises:
        MediaError: as in `decode`.
    """
    with fetch(str(to_path(path))) as local:
        return _read_with_fallback(track, local, probe(local), starts, backends)


def _read_with_fallback(
    track: Track, path: str, header: MediaProbe, starts: Sequence[float], backends: Sequence[str]
) -> list[Reading]:
    refusal = MediaError("decode_error", "no decoder was asked")
    for name in backends:
        try:
            return track.read(path, header, starts, BACKENDS[name])
        except MediaError as error:
            refusal = error
        except Exception as error:
            # decord's own error derives from Exception. Any error of a decoder is the clip's.
            refusal = MediaError("decode_error", f"{name}: {first_line(error)}")
        if refusal.reason in ("no_audio", "no_video"):
            break
    raise refusal
