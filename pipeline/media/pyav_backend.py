"""PyAV: packet by packet, with the time stamps of the container; the answer where decord refuses, and the second opinion."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media.placement import PlacedSound
from pipeline.media.timeline import SLACK_S, MediaProbe, MediaStream, first_line, refuse_encrypted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.media.tracks import Shown

# Windows that begin later than this are sought, to the key frame before them; earlier ones are reached by decoding from the start.
SEEK_BEYOND_S = 5.0


class PyAV:
    """PyAV, packet by packet with the time stamps of the container."""

    def read_frames(
        self, path: str, probe: MediaProbe, times: Sequence[float]
    ) -> list[Shown | None]:
        assert probe.video is not None
        if not times:
            return []
        order = sorted(range(len(times)), key=times.__getitem__)
        found = _find_frames(path, probe, times, order, sought=times[order[0]] > SEEK_BEYOND_S)
        if found[order[0]] is None and times[order[0]] > SEEK_BEYOND_S:
            # The index may lead to a key frame behind the time: decode from the start instead.
            found = _find_frames(path, probe, times, order, sought=False)
        return found

    def read_waveform(self, path: str, probe: MediaProbe, rate: int) -> np.ndarray:
        assert probe.audio is not None
        track = PlacedSound(rate=rate, channels=probe.audio.channels)
        with av.open(path) as container:
            stream = container.streams[probe.audio.index]
            for frame, _ in _decode_frames(container, stream, probe.audio):
                if frame is not None:
                    track.add(
                        frame,
                        None
                        if frame.pts is None
                        else float(frame.pts * frame.time_base) - probe.zero,
                    )
        return track.assemble(probe.end)


def _find_frames(
    path: str, probe: MediaProbe, times: Sequence[float], order: Sequence[int], sought: bool
) -> list[Shown | None]:
    assert probe.video is not None
    found: list[Shown | None] = [None] * len(times)
    with av.open(path) as container:
        stream = container.streams[probe.video.index]
        if sought:
            container.seek(int((times[order[0]] + probe.zero) / probe.video.tick), stream=stream)
        pending = iter(order)
        at = next(pending, None)
        for shown, pts, until in _compute_spans(
            _decode_frames(container, stream, probe.video), probe
        ):
            while at is not None and times[at] + 1e-6 < until:
                if pts <= times[at] + 1e-6:
                    found[at] = (None if shown is None else _convert_to_rgb(shown, stream), pts)
                at = next(pending, None)
            if at is None:
                break
    return found


def _decode_frames(
    container: Any, stream: Any, about: MediaStream
) -> Iterator[tuple[Any, int | None]]:
    """(frame, its time stamp) in the order of display; None for a frame that is damaged, or that leans on a damaged one.

    Raises:
        MediaError: there is nothing but damage.
    """
    if stream.codec_context is None:
        raise MediaError("decode_error", "there is no decoder for this codec")
    # A decoder is to say what is damaged, and not to paint over it.
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    order: deque[int] = deque()
    whole, refusal, count = True, "", 0
    for packet in _read_packets(container, stream):
        if packet.size == 0 and packet.dts is not None:
            continue  # "the last frame stays", in AVI and Ogg; a decoder would take it for the end
        refuse_encrypted(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            refusal, whole = first_line(error), False
            yield None, packet.dts if packet.pts is None else packet.pts
            continue
        if packet.dts is not None:
            order.append(packet.dts)
        for frame in frames:
            whole = whole or bool(frame.key_frame)
            count += 1
            yield (
                frame if whole and not frame.is_corrupt else None,
                _timestamp_of(frame, order, stream, about),
            )
    if refusal and not count:
        raise MediaError("decode_error", f"pyav: {refusal}")


def _read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """A stream's packets up to where the file can be read: what lies behind is missing, and the windows there are told so."""
    with suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _timestamp_of(frame: Any, order: deque[int], stream: Any, about: MediaStream) -> int | None:
    """When a frame is shown, in ticks; without presentation times: when its packet is decoded, or the n-th frame with the n-th."""
    if about.ordered and getattr(stream.codec_context, "has_b_frames", False) and order:
        return order.popleft()
    stamp: int | None = frame.dts if about.ordered or frame.pts is None else frame.pts
    return None if stamp is None else stamp + about.skew


def _compute_spans(
    frames: Iterator[tuple[Any, int | None]], probe: MediaProbe
) -> Iterator[tuple[Any, float, float]]:
    """(frame, its pts, the next frame's pts) in seconds from zero; the last stays for its duration, or one more frame's time."""
    assert probe.video is not None
    last, step = None, SLACK_S
    stamped = (
        (frame, float(stamp * probe.video.tick) - probe.zero)
        for frame, stamp in frames
        if stamp is not None
    )
    for (frame, pts), following in pairwise(stamped):
        last, step = following, following[1] - pts
        yield frame, pts, following[1]
    if last is not None:
        frame, pts = last
        lasts = (
            float(frame.duration * probe.video.tick)
            if frame is not None and frame.duration
            else step
        )
        yield frame, pts, pts + lasts + SLACK_S


def _convert_to_rgb(frame: Any, stream: Any) -> np.ndarray:
    """u8 [H, W, 3]: by FFmpeg's own scale filter, which is what decord uses, to the bit; turned as the container says."""
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
    rgb = graph.pull().to_ndarray()
    return np.rot90(rgb, frame.rotation // 90) if frame.rotation else rgb
