"""Place decoded sound by its time stamps.

Each run of frames that follow one another is resampled as one and put where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from pipeline.media.downmix import mix_to_mono
from pipeline.media.timeline import MAX_JITTER_S

# Sound may go on this long behind the file's end as its header gives it.
MAX_OVERRUN_S = 1.0


@dataclass(kw_only=True)
class _Run:
    start: float
    resampler: Any
    shape: tuple[Any, ...]
    seconds: float = 0.0
    pieces: list[np.ndarray] = field(default_factory=list)


@dataclass(kw_only=True)
class PlacedSound:
    """A sound track that is being decoded: mono float32 from time zero, NaN where it has gaps.

    Args:
        rate: sample rate of the result, in Hz.
        channels: FFmpeg's names of the channels.
        runs: pieces of sound without a gap, in the order of decoding.
    """

    rate: int
    channels: tuple[str, ...]
    runs: list[_Run] = field(default_factory=list)

    def add(self, frame: Any, time: float | None) -> None:
        """Append a decoded frame.

        Args:
            frame: PyAV's audio frame.
            time: seconds from time zero at which it begins; None: where the last one ended.
        """
        run = self.runs[-1] if self.runs else None
        expected = run.start + run.seconds if run else 0.0
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        jumps = time is not None and abs(time - expected) > MAX_JITTER_S
        if run is None or run.shape != shape or jumps:
            self._flush()
            resampler = av.AudioResampler(format="fltp", layout=frame.layout.name, rate=self.rate)
            run = _Run(start=expected if time is None else time, resampler=resampler, shape=shape)
            self.runs.append(run)
        run.seconds += frame.samples / frame.sample_rate
        # The resampler counts samples; time stamps with jitter would disturb it.
        frame.pts = None
        run.pieces += [piece.to_ndarray() for piece in run.resampler.resample(frame)]

    def assemble(self, end: float) -> np.ndarray:
        """Return the track from time zero to its last sample, float32 [n].

        It stops shortly behind the file's end, so that a wild time stamp costs no memory.

        Args:
            end: the file's end, in seconds from time zero.
        """
        placed = self._place_runs()
        last = min(
            max((first + len(piece) for first, piece in placed), default=0),
            round((end + MAX_OVERRUN_S) * self.rate),
        )
        return _lay_out(placed, 0, max(last, 0))

    def assemble_part(self, first: int, last: int) -> np.ndarray:
        """Return samples `first` to `last` of the track, float32 [last - first].

        Args:
            first: counted from time zero.
            last: one behind the last one.
        """
        return _lay_out(self._place_runs(), first, last)

    @property
    def reached(self) -> float:
        """When the sound so far ends, in seconds from time zero."""
        return self.runs[-1].start + self.runs[-1].seconds if self.runs else 0.0

    def _place_runs(self) -> list[tuple[int, np.ndarray]]:
        self._flush()
        return [
            (
                round(run.start * self.rate),
                mix_to_mono(np.concatenate(run.pieces, 1), self.channels),
            )
            for run in self.runs
            if run.pieces
        ]

    def _flush(self) -> None:
        if self.runs:
            run = self.runs[-1]
            run.pieces += [piece.to_ndarray() for piece in run.resampler.resample(None)]


def _lay_out(placed: list[tuple[int, np.ndarray]], first: int, last: int) -> np.ndarray:
    track = np.full(last - first, np.nan, np.float32)
    for begin, piece in placed:
        fits = piece[max(first - begin, 0) : max(last - begin, 0)]
        target = max(begin - first, 0)
        track[target : target + len(fits)] = fits
    return track


def cut_second(track: np.ndarray, rate: int, start: float) -> np.ndarray:
    """Return one second of a track, float32 [rate]; NaN where it has ended.

    Args:
        track: from time zero, float32 [n].
        rate: its sample rate, in Hz.
        start: when the second begins, in seconds.
    """
    first = round(start * rate)
    piece = track[first : first + rate]
    return np.pad(piece, (0, rate - len(piece)), constant_values=np.nan)
