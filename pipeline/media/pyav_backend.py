"""PyAV: decode packet by packet with the container's time stamps, where decord refuses or fails."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media.container import open_container
from pipeline.media.geometry import read_display_matrix
from pipeline.media.placement import PlacedSound
from pipeline.media.timeline import SLACK_S, MediaProbe, MediaStream, first_line, refuse_encrypted

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
        seek = times[order[0]] > SEEK_BEYOND_S and probe.video.stamped
        displayed = _find_frames(path, probe, times, order, shrink, seek=seek)
        if displayed[order[0]] is None and seek:
            # The index may lead to a key frame behind the time: decode from the start instead.
            displayed = _find_frames(path, probe, times, order, shrink, seek=False)
        return displayed

    def read_waveform(self, path: str, probe: MediaProbe, rate: int) -> np.ndarray:
        assert probe.audio is not None
        track = PlacedSound(rate=rate, channels=probe.audio.channels)
        with open_container(path) as container:
            stream = container.streams[probe.audio.index]
            for frame, _ in _decode_frames(container, stream, probe.audio):
                if frame is not None:
                    stamp = frame.pts
                    time = None if stamp is None else float(stamp * frame.time_base) - probe.zero
                    track.add(frame, time)
        return track.assemble(probe.end)


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
    with open_container(path) as container:
        stream = container.streams[probe.video.index]
        if seek:
            container.seek(int((times[order[0]] + probe.zero) / probe.video.tick), stream=stream)
        pending = iter(order)
        at = next(pending, None)
        frames = _decode_frames(container, stream, probe.video)
        for frame, pts, until in _compute_spans(frames, probe):
            shown: DisplayedFrame | None = None
            while at is not None and times[at] + 1e-6 < until:
                if pts <= times[at] + 1e-6:
                    shown = shown or (_make_picture(frame, stream, probe.video, shrink), pts)
                    displayed[at] = shown
                at = next(pending, None)
            if at is None:
                break
    return displayed


def _decode_frames(
    container: Any, stream: Any, header: MediaStream
) -> Iterator[tuple[Any, int | None]]:
    """Yield (frame, time stamp) in the order of display.

    The frame is None where it, or one that it depends on, is damaged.

    Raises:
        MediaError: all frames are damaged.
    """
    if stream.codec_context is None:
        raise MediaError("decode_error", "there is no decoder for this codec")
    # The decoder shall report damage, not paint over it.
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    decode_times: deque[int] = deque()
    intact, refusal, count, counted = True, "", 0, 0
    for packet in _read_packets(container, stream):
        if packet.size == 0 and packet.dts is not None:
            continue  # AVI and Ogg: "the last frame stays"; a decoder would take it for the end
        refuse_encrypted(packet)
        counted += packet.duration or 0
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            refusal, intact = first_line(error), False
            yield None, packet.dts if packet.pts is None else packet.pts
            continue
        if packet.dts is not None:
            decode_times.append(packet.dts)
        elif not header.stamped:
            decode_times.append(counted - (packet.duration or 0))
        for frame in frames:
            intact = intact or bool(frame.key_frame)
            count += 1
            yield (
                frame if intact and not frame.is_corrupt else None,
                _timestamp_of(frame, decode_times, stream, header),
            )
    if refusal and not count:
        raise MediaError("decode_error", f"pyav: {refusal}")


def _read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield a stream's packets up to where the file is unreadable; later windows are truncated."""
    with suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _timestamp_of(
    frame: Any, decode_times: deque[int], stream: Any, header: MediaStream
) -> int | None:
    """Return when a frame is shown, in ticks.

    Without presentation times it is its packet's decoding time; with B-frames, the n-th shown
    frame has the n-th decoding time. Without any time stamps, it is the sum of durations so far.
    """
    reordered = header.ordered and getattr(stream.codec_context, "has_b_frames", False)
    if decode_times and (reordered or not header.stamped):
        return decode_times.popleft()
    stamp: int | None = frame.dts if header.ordered or frame.pts is None else frame.pts
    return None if stamp is None else stamp + header.skew


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


def _make_picture(
    frame: Any, stream: Any, header: MediaStream, shrink: Shrink
) -> np.ndarray | None:
    if frame is None:
        return None
    assert header.picture is not None
    rgb = _convert_to_rgb(frame, stream)
    return shrink(*header.picture.straighten(rgb, read_display_matrix(frame)))


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
