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
    from collections.abc import Mapping, Sequence

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import Clip

__all__ = [
    "BACKENDS",
    "Backend",
    "FrameTrack",
    "MediaProbe",
    "MediaStream",
    "Reading",
    "Second",
    "SoundTrack",
    "Track",
    "decode",
    "encode_mp3",
    "encode_png",
    "probe",
    "read",
    "write_clip",
]

# A span may end this far behind its file: its last seconds are then truncated in the ledger.
# A span that ends later is a mistake in the table.
MAX_OVERRUN_S = 60.0
BACKENDS: dict[str, Backend] = {"decord": Decord(), "pyav": PyAV()}


@dataclass(frozen=True, kw_only=True)
class Second:
    """One window [second, second + 1) of a clip, with a reading per modality."""

    second: int
    readings: dict[str, Reading]


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
    with fetch(clip.path) as path:
        try:
            return _decode_seconds(path, clip, tracks, backends)
        except MediaError as error:
            # A fetched copy has a random name.
            raise MediaError(error.reason, error.detail.replace(path, clip.path)) from error


def _decode_seconds(
    path: str, clip: Clip, tracks: Mapping[str, Track], backends: Sequence[str]
) -> list[Second]:
    header = probe(path)
    for track in tracks.values():
        track.require(header)
    end = header.end if clip.end_s is None else clip.end_s
    if end > header.end + MAX_OVERRUN_S:
        raise MediaError("bad_span", f"the span ends at {end:g} s, the file at {header.end:g} s")
    count = math.floor(end - clip.start_s + SLACK_S)
    if count < 1:
        raise MediaError("short", f"{max(end - clip.start_s, 0):.2f} s, one second is the shortest")
    starts = [clip.start_s + second for second in range(count)]
    rows = {
        modality: _read_with_fallback(track, path, header, starts, backends)
        for modality, track in tracks.items()
    }
    return [
        Second(second=k, readings={modality: rows[modality][k] for modality in tracks})
        for k in range(count)
    ]


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
