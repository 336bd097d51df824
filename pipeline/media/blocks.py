"""Read the sound of a long file in blocks, each decoded afresh.

A block is the same whatever else is asked for, so a window does not depend on its span. Memory does
not grow with length, and a span far into a recording costs little.
"""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, dropwhile
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.media.container import MP4, open_container
from pipeline.media.packets import decode_frames, read_packets
from pipeline.media.placement import PlacedSound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.media.timeline import MediaProbe

# Seconds of a block; of sound that is decoded before it, since decoders depend on what came before;
# and of sound behind it, which the resampler needs.
BLOCK_S, WARM_UP_S, TAIL_S = 30, 1.0, 0.1
# A seek aims this much earlier: streams are interleaved loosely.
SEEK_MARGIN_S = 1.0
# Formats in which a seek keeps the time stamps; in others, packets are read from the start, but not
# decoded. PCM counts samples in every format.
SEEKABLE = {
    MP4,
    "matroska,webm",
    "mpegts",
    "mpeg",
    "ogg",
    "flac",
    "mp3",
    "aac",
    "avi",
    "flv",
    "asf",
}
# A time stamp that is not counted in samples may be this far off.
STAMP_SLACK_S = 0.001


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Where the frames of a stream begin, counted in samples from the first one.

    Args:
        origin: when the first frame begins, in seconds from time zero.
        offset: samples of the first frame, which may be cut.
        step: samples of every other frame.
        exact: whether time stamps count samples.
    """

    origin: float
    offset: int
    step: int
    exact: bool

    def locate(self, frame: Any, time: float) -> int:
        """Return the samples before a frame.

        Args:
            frame: PyAV's audio frame.
            time: of its time stamp, in seconds from time zero.
        """
        stamped: int = round((time - self.origin) * frame.sample_rate)
        if self.exact or frame.samples != self.step:
            return stamped
        counted: int = self.offset + round((stamped - self.offset) / self.step) * self.step
        return (
            counted if abs(counted - stamped) < 2 * STAMP_SLACK_S * frame.sample_rate else stamped
        )


def read_in_blocks(
    path: str, probe: MediaProbe, rate: int, starts: Sequence[float]
) -> list[np.ndarray]:
    """Return seconds of a sound track, mono float32 [rate] each, NaN where it has gaps.

    Args:
        path: a local file.
        probe: its header.
        rate: sample rate to return, in Hz.
        starts: where each second begins, in seconds from time zero.
    """
    grid = _read_grid(path, probe)
    firsts, size = [round(start * rate) for start in starts], BLOCK_S * rate
    windows = [np.full(rate, np.nan, np.float32) for _ in starts]
    for block in sorted({edge // size for f in firsts for edge in (f, f + rate - 1)}):
        begin = block * size
        samples = _read_block(path, probe, rate, block, grid)
        for first, window in zip(firsts, windows, strict=True):
            low, high = max(first, begin), min(first + rate, begin + size)
            if low < high:
                window[low - first : high - first] = samples[low - begin : high - begin]
    return windows


def _read_grid(path: str, probe: MediaProbe) -> _Grid:
    """Decode the first frames of a sound track."""
    assert probe.audio is not None
    with _open_at(path, probe, None) as (stream, packets):
        decoded = (frame for frame, _ in decode_frames(packets, stream, probe.audio) if frame)
        first, second = next(decoded, None), next(decoded, None)
        if first is None or second is None or first.pts is None:
            return _Grid(origin=probe.audio.start, offset=0, step=0, exact=True)
        return _Grid(
            origin=float(first.pts * first.time_base) - probe.zero,
            offset=first.samples,
            step=second.samples,
            exact=probe.audio.tick * first.sample_rate == 1,
        )


def _read_block(path: str, probe: MediaProbe, rate: int, block: int, grid: _Grid) -> np.ndarray:
    """Decode a block from its warm-up on, float32 [BLOCK_S * rate]."""
    assert probe.audio is not None
    begin, end = block * BLOCK_S, (block + 1) * BLOCK_S
    resumed = begin - WARM_UP_S > probe.audio.start and probe.audio.stamped
    since = begin - WARM_UP_S if resumed else None
    track = PlacedSound(rate=rate, channels=probe.audio.channels)
    with _open_at(path, probe, since) as (stream, packets):
        for frame, _ in decode_frames(packets, stream, probe.audio):
            if frame is None:
                continue
            time = None if frame.pts is None else float(frame.pts * frame.time_base) - probe.zero
            if (track.reached if time is None else time) >= end + TAIL_S:
                break
            if since is None or track.runs or time is None:
                track.add(frame, time)
            else:
                _add_in_phase(track, frame, time, grid, begin - WARM_UP_S / 2)
    return track.assemble_part(begin * rate, end * rate)


@contextmanager
def _open_at(
    path: str, probe: MediaProbe, since: float | None
) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Yield the sound stream and its packets from a time on, or all of them.

    The first packet does not depend on where a seek leads: packets before the time are skipped,
    and a seek that leads behind it is undone.
    """
    assert probe.audio is not None
    index = probe.audio.index
    if since is None:
        with open_container(path) as container:
            stream = container.streams[index]
            yield stream, read_packets(container, stream)
        return
    for seek in (True, False):
        with open_container(path) as container:
            stream = container.streams[index]
            packets = _seek(container, stream, probe, since, seek=seek)
            if packets is None:
                continue
            yield stream, dropwhile(lambda packet: _time_of(packet, probe) < since, packets)
            return


def _seek(
    container: Any, stream: Any, probe: MediaProbe, since: float, *, seek: bool
) -> Iterator[Any] | None:
    """Return a stream's packets from before a time on; None where a seek did not lead there."""
    packets = read_packets(container, stream)
    pcm = stream.codec_context is not None and stream.codec_context.name.startswith("pcm_")
    if not seek or not (pcm or container.format.name in SEEKABLE):
        return packets
    with suppress(av.error.FFmpegError):
        container.seek(round((since - SEEK_MARGIN_S + probe.zero) * av.time_base))
        first = next(packets, None)
        if first is not None and first.size and _time_of(first, probe) <= since:
            return chain([first], packets)
    return None


def _time_of(packet: Any, probe: MediaProbe) -> float:
    stamp = packet.dts if packet.pts is None else packet.pts
    if not packet.size:
        return math.inf  # the last packet, which empties the decoder
    return -math.inf if stamp is None else float(stamp * packet.time_base) - probe.zero


def _add_in_phase(track: PlacedSound, frame: Any, time: float, grid: _Grid, until: float) -> None:
    """Add the first frame of a block so that resampling gives the samples of a decode from zero.

    Input and output samples fall together once in a period; the frame begins at such a place.

    Args:
        track: empty.
        frame: PyAV's audio frame.
        time: when it begins, in seconds from time zero.
        grid: of the stream.
        until: frames before this time may be left out, such as one that a decoder cuts.
    """
    if time < until and not (grid.exact or frame.samples == grid.step):
        return
    common = math.gcd(frame.sample_rate, track.rate)
    period = frame.sample_rate // common
    passed = grid.locate(frame, time)
    surplus = -passed % period
    if surplus > WARM_UP_S / 2 * frame.sample_rate:
        track.add(frame, time)
    elif surplus < frame.samples:
        periods = (passed + surplus) // period
        begin = round(grid.origin * track.rate) + periods * (track.rate // common)
        track.add(_drop_samples(frame, surplus), begin / track.rate)


def _drop_samples(frame: Any, count: int) -> Any:
    """Return an audio frame without its first samples."""
    if not count:
        return frame
    step = 1 if frame.format.is_planar else len(frame.layout.channels)
    rest = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(frame.to_ndarray()[:, count * step :]),
        format=frame.format.name,
        layout=frame.layout.name,
    )
    rest.rate = frame.sample_rate
    return rest
