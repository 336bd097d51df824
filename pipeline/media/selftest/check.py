"""Checking truth clips: every frame and the beep, against what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline import media
from pipeline.core.errors import MediaError
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.selftest.cases import CASES, ReferenceClip
from pipeline.media.selftest.write import SIDE, GroundTruth, read_number, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A beep may be heard this far from where it was written: lossy codecs smear an attack over part of a block.
BEEP_WITHIN_S = 0.02
# Heard at this rate, an onset is told to a sixteenth of a millisecond.
HEARD_HZ = 16000
QUIET = 0.1
# Each decoder by itself, and both as they are asked by default.
ORDERS = (("decord",), ("pyav",), ("decord", "pyav"))
# A window begins this long before the beep.
BEFORE_S = 0.4


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """What backends made of one stream of a case: `ok`, `wrong` or `refused`; the largest error in milliseconds, and where."""

    verdict: str
    error_ms: float
    detail: str


@dataclass(frozen=True, kw_only=True)
class DecoderResult:
    """What decoders, asked in turn, made of the frames and of the beep of a case."""

    case: ReferenceClip
    order: tuple[str, ...]
    frame: StreamResult
    beep: StreamResult

    @property
    def correct(self) -> bool:
        return self.frame.verdict == self.beep.verdict == "ok"

    @property
    def decisive(self) -> bool:
        """Whether nobody is left to ask: one decoder alone may refuse."""
        return self.order == ORDERS[-1]

    def __str__(self) -> str:
        parts = (self.frame, self.beep)
        told = [
            f"{'-' if np.isnan(found.error_ms) else f'{found.error_ms:.2f}':>5} ms {found.verdict:7}"
            for found in parts
        ]
        why = next((found.detail for found in parts if found.detail), "")
        return f"{self.case.name:69}  {', '.join(self.order):12}  frame {told[0]}  beep {told[1]}  {why}".rstrip()


def examine(case: ReferenceClip, folder: Path) -> list[DecoderResult]:
    """Write the clip of a case into a folder, ask each decoder and both in turn, and remove it."""
    path = folder / f"{CASES.index(case)}.{case.container}"
    truth = write(case, path)
    answers = [
        DecoderResult(
            case=case,
            order=order,
            frame=check_frames(case, path, truth, order),
            beep=check_beep(path, truth, order),
        )
        for order in ORDERS
    ]
    path.unlink()
    return answers


def report_failure(case: ReferenceClip, error: MediaError) -> list[DecoderResult]:
    """The answer to a case that took its worker down, or could not be written."""
    return [
        DecoderResult(
            case=case, order=ORDERS[-1], frame=_make_refusal(error), beep=_make_refusal(error)
        )
    ]


def check_frames(
    case: ReferenceClip, path: Path, truth: GroundTruth, backends: Sequence[str]
) -> StreamResult:
    """Ask backends for every frame, on its first tick, in its middle and before its end, and for none before and after them all."""
    asked = _build_queries(case, truth)
    picture = FrameTrack(width=SIDE, height=SIDE, crop=False, offsets=(0.0,))
    try:
        readings = media.read(str(path), picture, [time for time, _ in asked], backends)
    except MediaError as error:
        return _make_refusal(error)
    errors, wrong = [], []
    for (time, index), reading in zip(asked, readings, strict=True):
        if reading.array is None or index is None:
            if (reading.array is None) != (index is None):
                wrong.append(
                    f"at {time:.4f} s there is {'no frame' if reading.array is None else 'a frame'}"
                )
            continue
        errors.append(abs(reading.pts[0] - truth.pts[index]))
        number = read_number(reading.array[0])
        if errors[-1] > case.tick or number != truth.numbers[index]:
            wrong.append(
                f"at {time:.4f} s frame {number} of {reading.pts[0]:.4f} s, not {truth.numbers[index]}"
            )
    return StreamResult(
        verdict="wrong" if wrong else "ok",
        error_ms=1000 * max(errors, default=np.nan),
        detail="; ".join(wrong[:3]),
    )


def _build_queries(case: ReferenceClip, truth: GroundTruth) -> list[tuple[float, int | None]]:
    """(time, index of the frame on display)"""
    near = max(case.tick, 1e-4)
    ends = [*truth.pts[1:], truth.pts[-1] + float(min(case.steps))]
    asked: list[tuple[float, int | None]] = [
        (truth.pts[0] - 2 * near, None),
        (ends[-1] + 1.0, None),
    ]
    for index, (begin, end) in enumerate(zip(truth.pts, ends, strict=True)):
        # Where time stamps are rounded to a tick, a frame's first tick is only known to one.
        asked += [
            (begin + (near if case.rounded else 0.0), index),
            ((begin + end) / 2, index),
            (end - 1.5 * near, index),
        ]
    return asked


def check_beep(path: Path, truth: GroundTruth, backends: Sequence[str]) -> StreamResult:
    """Ask backends for the sound, and look for the beep where it was written."""
    try:
        (heard,) = media.read(
            str(path), SoundTrack(rate=HEARD_HZ), [truth.beep - BEFORE_S], backends
        )
    except MediaError as error:
        return _make_refusal(error)
    if heard.array is None:
        return StreamResult(
            verdict="wrong", error_ms=np.nan, detail=f"{heard.reason}: {heard.detail}"
        )
    loud = np.abs(heard.array)
    error_s = (
        abs(float(np.argmax(loud > 0.3 * loud.max())) / HEARD_HZ - BEFORE_S)
        if loud.max() > QUIET
        else np.nan
    )
    detail = "" if error_s <= BEEP_WITHIN_S else f"the beep is {1000 * error_s:.1f} ms off"
    return StreamResult(verdict="wrong" if detail else "ok", error_ms=1000 * error_s, detail=detail)


def _make_refusal(error: MediaError) -> StreamResult:
    return StreamResult(
        verdict="refused", error_ms=np.nan, detail=f"{error.reason}: {error.detail}"
    )
