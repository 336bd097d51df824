"""PyAV: decode packet by packet with the container's time stamps, where decord refuses or fails."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

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
        if first > SEEK_BEYOND_S and probe.video.stamped:
            displayed = _find_frames(path, probe, times, order, shrink, seek=True)
            if displayed[order[0]] is not None or not _has_picture_at(path, probe.video, first):
                return displayed
            # The index may lead to a key frame behind the time: decode from the start instead.
        return _find_frames(path, probe, times, order, shrink, seek=False)

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


def _find_frames(
    path: str,
    probe: MediaProbe,
    times: Sequence[float],
    order: Sequence[int],
    shrink: Shrink,
    *,
    seek: bool,
) -> list[DisplayedFrame | None]:
    assert probe.video is not None
    displayed: list[DisplayedFrame | None] = [None] * len(times)
    matrices = DisplayMatrices()
    with open_container(path) as container:
        stream = container.streams[probe.video.index]
        if seek:
            container.seek(int((times[order[0]] + probe.zero) / probe.video.tick), stream=stream)
        pending = iter(order)
        at = next(pending, None)
        frames = decode_frames(read_packets(container, stream), stream, probe.video)
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
