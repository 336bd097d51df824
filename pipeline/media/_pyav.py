"""PyAV: frame by frame, with the time stamps of the container; the answer where streams start apart, and the second opinion."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipeline.media._timeline import SLACK_S, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Windows that begin later than this are sought, to the key frame before them; earlier ones are reached by decoding from the start.
SEEK_BEYOND_S = 5.0


class PyAV:
    """PyAV, frame by frame with the time stamps of the container."""

    def frames(self, path: str, probe: Probe, times: Sequence[float]) -> list[tuple[np.ndarray, float] | None]:
        assert probe.video is not None
        order = sorted(range(len(times)), key=times.__getitem__)
        found: list[tuple[np.ndarray, float] | None] = [None] * len(times)
        with av.open(path) as container:
            stream = container.streams[probe.video.index]
            if times[order[0]] > SEEK_BEYOND_S:
                container.seek(int((times[order[0]] + probe.zero) / probe.video.tick), stream=stream)
            pending = iter(order)
            at = next(pending, None)
            for shown, pts, until in _spans(container.decode(stream), probe):
                while at is not None and times[at] + 1e-6 < until:
                    if pts <= times[at] + 1e-6:
                        found[at] = (_upright(shown), pts)
                    at = next(pending, None)
                if at is None:
                    break
        return found

    def waveform(self, path: str, probe: Probe, rate: int) -> np.ndarray:
        assert probe.audio is not None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        pieces = []
        first: float | None = None
        with av.open(path) as container:
            for frame in container.decode(audio=0):
                first = (frame.time or 0.0) - probe.zero if first is None else first
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
        track = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
        shift = round((first or 0.0) * rate)
        return np.pad(track, (shift, 0)) if shift >= 0 else track[-shift:]


def _spans(frames: Iterator[Any], probe: Probe) -> Iterator[tuple[Any, float, float]]:
    """(frame, its pts, the next frame's pts) in seconds from zero; the last frame stays for one more frame's time."""
    assert probe.video is not None
    last, step = None, SLACK_S
    for frame, following in pairwise(frame for frame in frames if frame.pts is not None):
        pts, until = (float(f.pts * probe.video.tick) - probe.zero for f in (frame, following))
        last, step = following, until - pts
        yield frame, pts, until
    if last is not None:
        pts = float(last.pts * probe.video.tick) - probe.zero
        yield last, pts, pts + max(step, SLACK_S)


def _upright(frame: Any) -> np.ndarray:
    rgb = frame.to_ndarray(format="rgb24")
    return np.rot90(rgb, frame.rotation // 90) if frame.rotation else rgb
