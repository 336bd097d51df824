"""Sound by its time stamps: each run of frames that follow one another is resampled as one and put where it belongs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from pipeline.media.downmix import mix_to_mono
from pipeline.media.timeline import STEP_S

# Sound may go on this long behind the end that a header tells.
STRAY_S = 1.0


@dataclass(kw_only=True)
class _Run:
    start: float
    resampler: Any
    shape: tuple[Any, ...]
    heard: float = 0.0
    pieces: list[np.ndarray] = field(default_factory=list)


@dataclass(kw_only=True)
class PlacedSound:
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

    def assemble(self, end: float) -> np.ndarray:
        """The track from time zero to its last sample, but no farther than the file's end: one wild time stamp costs no memory."""
        self._close()
        placed = [
            (
                round(run.start * self.rate),
                mix_to_mono(np.concatenate(run.pieces, 1), self.channels),
            )
            for run in self.runs
            if run.pieces
        ]
        last = min(
            max((first + len(piece) for first, piece in placed), default=0),
            round((end + STRAY_S) * self.rate),
        )
        track = np.full(max(last, 0), np.nan, np.float32)
        for first, piece in placed:
            fits = piece[max(-first, 0) : max(last - first, 0)]
            track[max(first, 0) : max(first, 0) + len(fits)] = fits
        return track

    def _close(self) -> None:
        if self.runs:
            run = self.runs[-1]
            run.pieces += [piece.to_ndarray() for piece in run.resampler.resample(None)]
