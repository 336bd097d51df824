"""Check decoders on reference clips: every frame and the beep must be those that were written."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import media
from pipeline.core import workers as pool
from pipeline.core.errors import MediaError
from pipeline.core.paths import to_path
from pipeline.media import FrameTrack, SoundTrack
from pipeline.media.selftest.cases import CASES, ReferenceClip
from pipeline.media.selftest.write import SIDE, GroundTruth, read_number, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.core.paths import AnyPath

# A beep may be this far from where it was written: lossy codecs smear an attack over part of a
# block.
BEEP_TOLERANCE_S = 0.02
# At this rate, an onset is known to a sixteenth of a millisecond.
RATE = 16000
# A beep must be louder than this.
MIN_PEAK = 0.1
# Each decoder alone, and both in the default order.
ORDERS = (("decord",), ("pyav",), ("decord", "pyav"))
# The window that holds the beep begins this long before it.
LEAD_S = 0.4
# Limits of a case in its worker.
DEADLINE_S, MEMORY_MB = 120.0, 4096


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """The result of decoding one stream of a case.

    Args:
        verdict: `ok`, `wrong` or `refused`.
        error_ms: the largest error in time, in milliseconds.
        detail: where it is wrong, or why it was refused.
    """

    verdict: str
    error_ms: float
    detail: str


@dataclass(frozen=True, kw_only=True)
class DecoderResult:
    """The result of decoding a case.

    Args:
        case: a row of the table.
        order: the decoders that were tried, in this order.
        frame: the result of the picture.
        beep: the result of the sound.
    """

    case: ReferenceClip
    order: tuple[str, ...]
    frame: StreamResult
    beep: StreamResult

    @property
    def correct(self) -> bool:
        return self.frame.verdict == self.beep.verdict == "ok"

    @property
    def decisive(self) -> bool:
        """Whether the result is that of the default order; a single decoder may refuse."""
        return self.order == ORDERS[-1]

    def __str__(self) -> str:
        streams = (self.frame, self.beep)
        errors = ("-" if np.isnan(s.error_ms) else f"{s.error_ms:.2f}" for s in streams)
        frame, beep = (
            f"{error:>5} ms {stream.verdict:7}"
            for error, stream in zip(errors, streams, strict=True)
        )
        detail = next((stream.detail for stream in streams if stream.detail), "")
        case, order = self.case.name, ", ".join(self.order)
        return f"{case:69}  {order:12}  frame {frame}  beep {beep}  {detail}".rstrip()


def run_selftest(
    cases: Sequence[ReferenceClip], workers: int, report: Callable[[int, int], None]
) -> list[DecoderResult]:
    """Check every case in a worker, so that a crash or a hang of a decoder costs one case.

    Args:
        cases: rows of the table; results come in their order.
        workers: processes at once.
        report: called with (cases done, cases) after each one.
    """
    results: dict[ReferenceClip, list[DecoderResult]] = {}
    with tempfile.TemporaryDirectory() as folder:
        answers = pool.work(
            functools.partial(examine, folder=Path(folder)),
            cases,
            workers=workers,
            deadline_s=DEADLINE_S,
            memory_mb=MEMORY_MB,
            recycle=len(cases),
        )
        for case, answer in answers:
            results[case] = (
                [_report_failure(case, answer)] if isinstance(answer, MediaError) else answer
            )
            report(len(results), len(cases))
    return [result for case in cases for result in results[case]]


def examine(case: ReferenceClip, folder: AnyPath) -> list[DecoderResult]:
    """Write the clip of a case, decode it in each of ORDERS, and remove it.

    Args:
        case: a row of the table.
        folder: where the clip is written.
    """
    folder = to_path(folder)
    path = folder / f"{CASES.index(case)}.{case.container}"
    truth = write(case, path)
    results = [
        DecoderResult(
            case=case,
            order=order,
            frame=check_frames(case, path, truth, order),
            beep=check_beep(path, truth, order),
        )
        for order in ORDERS
    ]
    path.unlink()
    return results


def _report_failure(case: ReferenceClip, error: MediaError) -> DecoderResult:
    """Return the result of a case that ended its worker, or could not be written."""
    refusal = _make_refusal(error)
    return DecoderResult(case=case, order=ORDERS[-1], frame=refusal, beep=refusal)


def check_frames(
    case: ReferenceClip, path: Path, truth: GroundTruth, backends: Sequence[str]
) -> StreamResult:
    """Ask for every frame on its first tick, in its middle and before its end.

    Before the first and after the last frame, there must be none.

    Args:
        case: a row of the table.
        path: its clip.
        truth: the content of the clip.
        backends: decoders in the order in which they are tried.
    """
    queries = _build_queries(case, truth)
    track = FrameTrack(width=SIDE, height=SIDE, crop=False, offsets=(0.0,))
    try:
        readings = media.read(str(path), track, [time for time, _ in queries], backends)
    except MediaError as error:
        return _make_refusal(error)
    errors, wrong = [], []
    for (time, index), reading in zip(queries, readings, strict=True):
        if reading.array is None or index is None:
            if (reading.array is None) != (index is None):
                result = "no frame" if reading.array is None else "a frame"
                wrong.append(f"at {time:.4f} s there is {result}")
            continue
        pts, number = reading.pts[0], read_number(reading.array[0])
        errors.append(abs(pts - truth.pts[index]))
        if errors[-1] > case.tick or number != truth.numbers[index]:
            expected = truth.numbers[index]
            wrong.append(f"at {time:.4f} s frame {number} of {pts:.4f} s, not {expected}")
    return StreamResult(
        verdict="wrong" if wrong else "ok",
        error_ms=1000 * max(errors, default=np.nan),
        detail="; ".join(wrong[:3]),
    )


def _build_queries(case: ReferenceClip, truth: GroundTruth) -> list[tuple[float, int | None]]:
    """List times to ask for, each with the index of the frame on display or None."""
    near = max(case.tick, 1e-4)
    ends = [*truth.pts[1:], truth.pts[-1] + float(min(case.steps))]
    queries: list[tuple[float, int | None]] = [
        (truth.pts[0] - 2 * near, None),
        (ends[-1] + 1.0, None),
    ]
    for index, (begin, end) in enumerate(zip(truth.pts, ends, strict=True)):
        # Where time stamps are rounded, a frame's first tick is known to one tick only.
        queries += [
            (begin + (near if case.rounded else 0.0), index),
            ((begin + end) / 2, index),
            (end - 1.5 * near, index),
        ]
    return queries


def check_beep(path: Path, truth: GroundTruth, backends: Sequence[str]) -> StreamResult:
    """Decode the sound, and look for the beep where it was written.

    Args:
        path: the clip of a case.
        truth: the content of the clip.
        backends: decoders in the order in which they are tried.
    """
    try:
        (reading,) = media.read(str(path), SoundTrack(rate=RATE), [truth.beep - LEAD_S], backends)
    except MediaError as error:
        return _make_refusal(error)
    if reading.array is None:
        detail = f"{reading.reason}: {reading.detail}"
        return StreamResult(verdict="wrong", error_ms=np.nan, detail=detail)
    level = np.abs(reading.array)
    error_s = np.nan
    if level.max() > MIN_PEAK:
        onset = float(np.argmax(level > 0.3 * level.max()))
        error_s = abs(onset / RATE - LEAD_S)
    detail = "" if error_s <= BEEP_TOLERANCE_S else f"the beep is {1000 * error_s:.1f} ms off"
    return StreamResult(verdict="wrong" if detail else "ok", error_ms=1000 * error_s, detail=detail)


def _make_refusal(error: MediaError) -> StreamResult:
    return StreamResult(
        verdict="refused", error_ms=np.nan, detail=f"{error.reason}: {error.detail}"
    )
