"""PyAV: decode packet by packet with the container's time stamps, where decord refuses or fails."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media.blocks import read_in_blocks
from pipeline.media.container import open_container
from pipeline.media.geometry import DisplayMatrices
from pipeline.media.packets import decode_frames, read_packets
from pipeline.media.placement import PlacedSound, cut_second
from pipeline.media.timeline import SLACK_S, MediaProbe, MediaStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.media.tracks import DisplayedFrame, Shrink

# Times later than this are reached by a seek to the key frame before them, earlier ones by
# decoding from the start.
SEEK_BEYOND_S = 5.0
# A seek may lead behind the key frame; then it aims this many seconds earlier, and at last at the
# start. Where there is no index, the first time stamps behind a seek may be guesses.
SEEK_BACK_S = {True: (0.0, 10.0, 60.0), False: (5.0, 20.0, 60.0)}


class PyAV:
    """PyAV, packet by packet with the time stamps of the container."""

    def read_frames(
        self, path: str, probe: MediaProbe, times: Sequence[float], shrink: Shrink
    ) -> list[DisplayedFrame | None]:
        assert probe.video is not None
        if not times:
            return []
        order = sorted(range(len(times)), key=times.__getitem__)
        first = times[order[0]]
        if probe.video.stamped:
            for back in SEEK_BACK_S[probe.video.indexed]:
                if first - back <= SEEK_BEYOND_S:
                    break
                displayed = _find_from(path, probe, times, order, shrink, first - back)
                shown = displayed[order[0]]
                if shown is not None and shown[0] is not None:
                    return displayed
                if not _has_picture_at(path, probe.video, first):
                    return displayed
        return _find_frames(path, probe, times, order, shrink)

    def read_sound(
        self, path: str, probe: MediaProbe, rate: int, starts: Sequence[float]
    ) -> list[np.ndarray]:
        assert probe.audio is not None
        if probe.is_long:
            return read_in_blocks(path, probe, rate, starts)
        track = PlacedSound(rate=rate, channels=probe.audio.channels)
        with open_container(path) as container:
            stream = container.streams[probe.audio.index]
            for frame, _ in decode_frames(read_packets(container, stream), stream, probe.audio):
                if frame is not None:
                    stamp = frame.pts
                    time = None if stamp is None else float(stamp * frame.time_base) - probe.zero
                    track.add(frame, time)
        whole = track.assemble(probe.end)
        return [cut_second(whole, rate, start) for start in starts]


def _find_from(
    path: str,
    probe: MediaProbe,
    times: Sequence[float],
    order: Sequence[int],
    shrink: Shrink,
    begin: float,
) -> list[DisplayedFrame | None]:
    """Find frames behind a seek; where it fails, there are none."""
    with suppress(MediaError, av.error.FFmpegError):
        return _find_frames(path, probe, times, order, shrink, begin)
    return [None] * len(times)


def _find_frames(
    path: str,
    probe: MediaProbe,
    times: Sequence[float],
    order: Sequence[int],
    shrink: Shrink,
    begin: float | None = None,
) -> list[DisplayedFrame | None]:
    """Decode from the start, or from a seek to `begin` on; `order` sorts the times."""
    assert probe.video is not None
    displayed: list[DisplayedFrame | None] = [None] * len(times)
    matrices = DisplayMatrices()
    with open_container(path) as container:
        stream = container.streams[probe.video.index]
        if begin is not None:
            container.seek(int((begin + probe.zero) / probe.video.tick), stream=stream)
        pending = iter(order)
        at = next(pending, None)
        packets = read_packets(container, stream)
        frames = decode_frames(packets, stream, probe.video, resumed=begin is not None)
        for frame, pts, until in _compute_spans(frames, probe):
            shown: DisplayedFrame | None = None
            while at is not None and times[at] + 1e-6 < until:
                if pts <= times[at] + 1e-6:
                    shown = shown or (
                        _make_picture(frame, stream, probe.video, matrices, shrink),
                        pts,
                    )
                    displayed[at] = shown
                at = next(pending, None)
            if at is None:
                break
    return displayed


def _compute_spans(
    frames: Iterator[tuple[Any, int | None]], probe: MediaProbe
) -> Iterator[tuple[Any, float, float]]:
    """Yield (frame, its pts, the next frame's pts), in seconds from time zero.

    The last frame stays for its duration, or else as long as the one before it.
    """
    assert probe.video is not None
    tick, zero = probe.video.tick, probe.zero
    last, step = None, SLACK_S
    stamped = ((frame, float(stamp * tick) - zero) for frame, stamp in frames if stamp is not None)
    for (frame, pts), following in pairwise(stamped):
        last, step = following, following[1] - pts
        yield frame, pts, following[1]
    if last is not None:
        frame, pts = last
        has_duration = frame is not None and frame.duration
        duration = float(frame.duration * tick) if has_duration else step
        yield frame, pts, pts + duration + SLACK_S


def _has_picture_at(path: str, header: MediaStream, time: float) -> bool:
    """Tell whether the packets of a stream reach a time; where a file was cut short, they do not.

    Nothing is decoded for it.
    """
    with open_container(path) as container:
        stream = container.streams[header.index]
        start = stream.start_time or 0
        for packet in read_packets(container, stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                passed = float((stamp + (packet.duration or 0) - start) * header.tick)
                if header.start + passed > time:
                    return True
    return False


def _make_picture(
    frame: Any, stream: Any, header: MediaStream, matrices: DisplayMatrices, shrink: Shrink
) -> np.ndarray | None:
    if frame is None:
        return None
    assert header.picture is not None
    rgb = _convert_to_rgb(frame, stream)
    return shrink(*header.picture.straighten(rgb, matrices.read(frame)))


def _convert_to_rgb(frame: Any, stream: Any) -> np.ndarray:
    """Convert a frame to u8 [H, W, 3].

    FFmpeg's own scale filter gives the same bits as decord, which uses it too.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(
        template=stream,
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=stream.time_base,
    )
    graph.link_nodes(
        source,
        graph.add("scale", "flags=bicubic"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    rgb: np.ndarray = graph.pull().to_ndarray()
    return rgb
