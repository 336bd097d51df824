"""decord: the fast decoder, for files whose packets alone give the time.

It rebases each stream to zero and ignores edit lists.
"""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.core.errors import MediaError
from pipeline.media.container import open_container
from pipeline.media.downmix import mix_to_mono
from pipeline.media.geometry import DisplayMatrices
from pipeline.media.placement import cut_second
from pipeline.media.timeline import (
    MAX_JITTER_S,
    PACKET_S,
    SLACK_S,
    MediaProbe,
    MediaStream,
    refuse_encrypted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.media.tracks import DisplayedFrame, Shrink


# Native frames that decord may keep in memory; it keeps all that it has decoded.
MAX_BYTES = 256 << 20


class Decord:
    """decord, for streams that start at time zero and whose packets alone decide what is shown."""

    def read_frames(
        self, path: str, probe: MediaProbe, times: Sequence[float], shrink: Shrink
    ) -> list[DisplayedFrame | None]:
        assert probe.video is not None
        self._refuse_unsuitable(probe, probe.video)
        if probe.video.hidden:
            raise MediaError(
                "av_offset",
                f"an edit list hides {probe.video.hidden} packets; "
                "decord would count them as frames",
            )
        _refuse_packets(path, probe.video)
        with _import_decord() as decord:
            # Not one frame may be replaced by its neighbour.
            reader = decord.VideoReader(
                str(Path(path).absolute()), ctx=decord.cpu(0), num_threads=1, fault_tol=1e-9
            )
            spans = reader.get_frame_timestamp(range(len(reader)))
            if not (spans[0, 0] >= -probe.video.tick and (np.diff(spans[:, 0]) > 0).all()):
                raise MediaError("decode_error", "decord has no ascending time stamps")
            wanted = [_find_frame(spans[:, 0], float(spans[-1, 1]), time, probe) for time in times]
            unique = sorted({index for index in wanted if index is not None})
            _refuse_large(len(unique), probe.video)
            batch: Any = reader.get_batch(unique).asnumpy() if unique else ()
            reader.seek(0)
        picture = probe.video.picture
        assert picture is not None
        # Frames keep their size up to here: at widths of 32, 48 or 96 pixels, decord2 3.4.0 returns
        # padded rows as if they were pixels.
        pictures = (shrink(*picture.straighten(frame)) for frame in batch)
        rgb = dict(zip(unique, pictures, strict=True))
        return [None if index is None else (rgb[index], float(spans[index, 0])) for index in wanted]

    def read_sound(
        self, path: str, probe: MediaProbe, rate: int, starts: Sequence[float]
    ) -> list[np.ndarray]:
        assert probe.audio is not None
        self._refuse_unsuitable(probe, probe.audio)
        with _import_decord() as decord:
            reader = decord.AudioReader(
                str(Path(path).absolute()), ctx=decord.cpu(0), sample_rate=rate, mono=False
            )
            waveform = mix_to_mono(reader[:].asnumpy(), probe.audio.channels)
        # decord joins all that it could decode: behind a gap, all sound would come too early.
        seconds = len(waveform) / rate
        if not -MAX_JITTER_S <= seconds - probe.audio.end <= PACKET_S:
            raise MediaError(
                "decode_error",
                f"decord has {seconds:.2f} s of sound, the track {probe.audio.end:.2f} s",
            )
        return [cut_second(waveform, rate, start) for start in starts]

    def _refuse_unsuitable(self, probe: MediaProbe, stream: MediaStream) -> None:
        if probe.is_long:
            raise MediaError("decode_error", "decord reads a long file whole")
        if not stream.indexed:
            raise MediaError(
                "decode_error",
                "decord takes one frame for another where a container has no full index",
            )
        if abs(stream.start) > stream.tick:
            raise MediaError(
                "av_offset", f"a stream starts at {stream.start:g} s; decord would move it to 0"
            )
        if not stream.alone:
            raise MediaError(
                "av_offset", "there are several streams of a kind; decord would choose by itself"
            )


def _refuse_packets(path: str, stream: MediaStream) -> None:
    """Raise MediaError if a packet is encrypted, or if frames are turned or mirrored for display.

    decord would turn some and mirror none.
    """
    undecoded = True
    with open_container(path) as container:
        for packet in container.demux(container.streams[stream.index]):
            refuse_encrypted(packet)
            frames: list[Any] = []
            if undecoded and packet.stream.codec_context:
                with suppress(av.error.FFmpegError):
                    frames = packet.decode()
            for frame in frames:
                undecoded = False
                if DisplayMatrices().read(frame) is not None:
                    raise MediaError("decode_error", "decord would not turn or mirror the picture")


def _refuse_large(count: int, stream: MediaStream) -> None:
    assert stream.picture is not None
    if count * 3 * stream.picture.width * stream.picture.height > MAX_BYTES:
        raise MediaError(
            "decode_error", f"decord keeps all {count} frames in memory until the last is decoded"
        )


@contextmanager
def _import_decord() -> Iterator[Any]:
    """Import decord in the worker that uses it, and raise an error for its warnings.

    decord paints over damage and reports it on the error stream alone. That stream is kept off
    the terminal, and any text on it is a MediaError.
    """
    import decord

    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield decord
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        captured.seek(0)
        message = captured.read(500).decode(errors="replace").strip()
    if message:
        raise MediaError("decode_error", f"decord: {message.splitlines()[0][:200]}")


def _find_frame(starts: np.ndarray, end: float, time: float, probe: MediaProbe) -> int | None:
    """Return the index of the frame with pts <= time < next pts, compared in ticks.

    It is None before the first frame and after the last.

    Args:
        starts: pts of each frame in seconds, float [N].
        end: when the last frame ends, in seconds.
        time: seconds from time zero.
        probe: the file's header.
    """
    assert probe.video is not None
    tick = float(probe.video.tick)
    ticks = np.rint(starts / tick)
    index = int(np.searchsorted(ticks, math.floor(time / tick + 1e-6), side="right")) - 1
    return index if index >= 0 and time < end + SLACK_S else None
