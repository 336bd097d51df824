"""Decode a stream packet by packet with PyAV; damage is reported, not concealed."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import av

from pipeline.core.errors import MediaError
from pipeline.media.timeline import first_line, refuse_encrypted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.media.timeline import MediaStream


def decode_frames(
    packets: Iterable[Any], stream: Any, header: MediaStream, *, resumed: bool = False
) -> Iterator[tuple[Any, int | None]]:
    """Yield (frame, time stamp) in the order of display.

    The frame is None where it, or one that it depends on, is damaged.

    Args:
        packets: of the stream, see `read_packets`.
        stream: PyAV's stream.
        header: of the stream.
        resumed: whether a seek has led here; frames before the first key frame are None then.

    Raises:
        MediaError: all frames are damaged.
    """
    _prepare_decoder(stream)
    decode_times: deque[int] = deque()
    intact, refusal, count, counted = not resumed, "", 0, 0
    for packet in packets:
        begin, counted = counted, counted + (packet.duration or 0)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            refusal, intact = first_line(error), False
            yield None, packet.dts if packet.pts is None else packet.pts
            continue
        if packet.dts is not None or not header.stamped:
            decode_times.append(begin if packet.dts is None else packet.dts)
        if frames and resumed and not count:
            _forget_skipped(decode_times, stream)
        for frame in frames:
            intact = intact or bool(frame.key_frame)
            count += 1
            yield (
                frame if intact and not frame.is_corrupt else None,
                _timestamp_of(frame, decode_times, stream, header),
            )
    if refusal and not count:
        raise MediaError("decode_error", f"pyav: {refusal}")


def _forget_skipped(decode_times: deque[int], stream: Any) -> None:
    """Drop the times of frames before the first one that is shown, which a decoder left out."""
    delay = getattr(stream.codec_context, "has_b_frames", 0)
    while len(decode_times) > delay + 1:
        decode_times.popleft()


def _prepare_decoder(stream: Any) -> None:
    if stream.codec_context is None:
        raise MediaError("decode_error", "there is no decoder for this codec")
    # The decoder shall report damage, not paint over it.
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}


def read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield a stream's packets up to where the file is unreadable; later windows are truncated.

    Args:
        container: PyAV's container.
        stream: one of its streams.

    Raises:
        MediaError: a packet is encrypted.
    """
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            refuse_encrypted(packet)
            # An empty packet of AVI and Ogg means "the last frame stays"; a decoder would take it
            # for the end.
            if packet.size or packet.dts is None:
                yield packet


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
