"""Sound by its time stamps: each run of frames that follow one another is resampled as one and put where it belongs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from pipeline.media._downmix import mono
from pipeline.media._timeline import STEP_S


@dataclass(kw_only=True)
class _Run:
    start: float
    resampler: Any
    shape: tuple[Any, ...]
    heard: float = 0.0
    pieces: list[np.ndarray] = field(default_factory=list)


@dataclass(kw_only=True)
class Placed:
    """A sound track in the making, mono float32 at `rate` Hz from time zero; NaN where the container has no sound."""

    rate: int
    channels: tuple[str, ...]
    runs: list[_Run] = field(default_factory=list)

    def add(self, frame: Any, time: float | None) -> None:
        """Append a decoded frame that begins `time` seconds from zero, or where the last one ended."""
        run = self.runs[-1] if self.runs else None
        due = run.start + run.heard if run else 0.0
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if run is None or run.shape != shape or (time is not None and abs(time - due) > STEP_S):
            self._close()
            resampler = av.AudioResampler(format="fltp", layout=frame.layout.name, rate=self.rate)
            run = _Run(start=due if time is None else time, resampler=resampler, shape=shape)
            self.runs.append(run)
        run.heard += frame.samples / frame.sample_rate
        # Time stamps with a jitter are none of the resampler's business: it counts samples.
        frame.pts = None
        run.pieces += [piece.to_ndarray() for piece in run.resampler.resample(frame)]

    def whole(self) -> np.ndarray:
        """The track from time zero to its end."""
        self._close()
        placed = [
            (round(run.start * self.rate), mono(np.concatenate(run.pieces, 1), self.channels)) for run in self.runs if run.pieces
        ]
        track = np.full(max((first + len(piece) for first, piece in placed), default=0), np.nan, np.float32)
        for first, piece in placed:
            track[max(first, 0) : max(first + len(piece), 0)] = piece[max(-first, 0) :]
        return track

    def _close(self) -> None:
        if self.runs:
            run = self.runs[-1]
            run.pieces += [piece.to_ndarray() for piece in run.resampler.resample(None)]
