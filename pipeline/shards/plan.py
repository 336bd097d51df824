"""What decoding a manifest will take, from decoding a few of its clips: CPU, wall, disk, memory, tars."""

from __future__ import annotations

import functools
import math
import os
import random
import resource
import statistics
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import media
from pipeline.core.errors import MediaError, ParamsError, SourceError
from pipeline.core.records import SPLITS
from pipeline.core.workers import TimedResult, measure_cost
from pipeline.shards.decode import make_outcome, refuse_before_decoding
from pipeline.shards.engines.local import Engine
from pipeline.shards.index import shard_of
from pipeline.shards.write import write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.core.records import Clip, Sample
    from pipeline.shards.decode import ClipOutcome, Decode

SEED = 0
# Of a normal law, for 95 %.
DEVIATIONS = 1.96
# What a tar has beside its members: two empty blocks, and on average half of the 10,240 bytes that its length is rounded up to.
TAR_END = 1024 + 10240 / 2
# Bytes of a tar that streams well and costs little when it is to be made anew.
TAR_BYTES = (256e6, 512e6)


@dataclass(frozen=True, kw_only=True)
class ClipTrial:
    """One sampled clip: seconds in its worker and in the parent, windows that were written, and its reason if there were none."""

    worker_cpu_s: float
    worker_wall_s: float
    parent_s: float
    windows: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class WindowBytes:
    """Bytes of one window: in a tar, and as arrays in memory; and of one clip in the ledger, with its windows' rows."""

    tar: float
    memory: float
    ledger: float


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A prediction and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Args: clips: of the manifest, by split; refused: reason -> clips that need no decoding; start_s: CPU of a worker's start."""

    clips: dict[str, int]
    refused: dict[str, int]
    trials: list[ClipTrial]
    window: WindowBytes
    tars: int
    start_s: float
    params: Decode
    workers: int

    def extrapolate(self, of: Callable[[ClipTrial], float]) -> Interval:
        """What `of` says of a clip, for all clips that are left to decode; exact if all were sampled."""
        values, left = [of(trial) for trial in self.trials], self.remaining
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        unseen = math.sqrt(max(1 - len(values) / left, 0))
        value, half = (
            left * statistics.fmean(values),
            DEVIATIONS * left * spread * unseen / math.sqrt(len(values)),
        )
        return Interval(value=value, low=max(value - half, 0), high=value + half)

    @property
    def remaining(self) -> int:
        return sum(self.clips.values()) - sum(self.refused.values())

    @property
    def windows(self) -> Interval:
        return self.extrapolate(lambda trial: trial.windows)

    @property
    def cpu_s(self) -> Interval:
        """Seconds of workers and parent, without the workers' start."""
        return self.extrapolate(lambda trial: trial.worker_cpu_s + trial.parent_s)

    @property
    def parent_s(self) -> float:
        return self.extrapolate(lambda trial: trial.parent_s).value

    @property
    def starts_s(self) -> float:
        return self.start_s * max(self.workers, math.ceil(self.remaining / self.params.recycle))

    @property
    def wall_s(self) -> float:
        """The slowest of three: the parent, the workers side by side, and all CPU time on this machine's cores."""
        waited = self.extrapolate(lambda trial: trial.worker_wall_s).value + self.starts_s
        cores = len(os.sched_getaffinity(0))
        return max(self.parent_s, waited / self.workers, (self.cpu_s.value + self.starts_s) / cores)

    def windows_of(self, split: str) -> float:
        """Windows of a split, if its clips are like the others."""
        return self.windows.value * self.clips[split] / sum(self.clips.values())

    @property
    def shard_bytes(self) -> float:
        return self.windows.value * self.window.tar + self.tars * TAR_END

    @property
    def ledger_bytes(self) -> float:
        return sum(self.clips.values()) * self.window.ledger

    @property
    def train_bytes(self) -> float:
        """The training split in memory."""
        return self.windows_of("train") * self.window.memory

    @property
    def largest(self) -> float:
        """Bytes of the largest split, which decide how many tars are good."""
        return max(self.windows_of(split) for split in SPLITS) * self.window.tar


def forecast(clips: Sequence[Clip], params: Decode, sample: int, workers: int) -> Forecast:
    """Decode `sample` of the clips with one worker, as `avdistill decode` would, and keep what it took.

    Raises:
        ParamsError: `sample` is below 1.
        SourceError: no clip of the sample has a window.
    """
    if sample < 1:
        raise ParamsError(f"--sample {sample}: a prediction needs one clip or more")
    refused = refuse_before_decoding(clips, params.drop_duplicates)
    left = sorted(
        (clip for clip in clips if clip.clip_id not in refused), key=lambda clip: clip.clip_id
    )
    drawn = random.Random(SEED).sample(left, min(sample, len(left)))
    before, spent = _children_s(), _measure_costs(drawn, params)
    if not any(part.samples for _, part, _ in spent):
        why = _format_counts(
            Counter(part.rows[0]["reason"] for _, part, _ in spent)
        ) or _format_counts(_count_reasons(refused))
        raise SourceError(
            f"none of {len(drawn)} sampled clips could be decoded ({why}); see that their media lie where it says"
        )
    write_s, window = _measure_writing([part for _, part, _ in spent])
    return Forecast(
        clips={split: sum(clip.split == split for clip in clips) for split in SPLITS},
        refused=_count_reasons(refused),
        trials=[
            _make_trial(answer, part, parent_s + write_s * len(part.samples))
            for answer, part, parent_s in spent
        ],
        window=window,
        tars=len({(clip.split, shard_of(clip.clip_id, params.shards)) for clip in clips}),
        start_s=max(_children_s() - before - sum(answer.cpu_s for answer, _, _ in spent), 0.0),
        params=params,
        workers=workers,
    )


def describe(plan: Forecast) -> str:
    """The forecast as lines for a reader, with what it rests on."""
    cpu, windows, mega = plan.cpu_s, plan.windows, 1e6
    least, most = (max(math.ceil(plan.largest / size), 1) for size in reversed(TAR_BYTES))
    worker_s, parent_s = (
        sum(getattr(trial, name) for trial in plan.trials) for name in ("worker_cpu_s", "parent_s")
    )
    fates = Counter(trial.reason or "ok" for trial in plan.trials)
    refused = f"; refused before decoding: {_format_counts(plan.refused)}" if plan.refused else ""
    return "\n".join(
        [
            f"clips: {sum(plan.clips.values()):,} ({', '.join(f'{plan.clips[split]:,} {split}' for split in SPLITS)}){refused}",
            f"measured: {len(plan.trials)} clips, drawn with seed {SEED}: {_format_counts(fates)}; "
            f"{worker_s:.2f} CPU s in the worker, {plan.start_s:.2f} to start it, {parent_s:.2f} in the parent",
            f"windows: {windows.value:,.0f} ({windows.low:,.0f} to {windows.high:,.0f})",
            f"CPU: {_format_hours(cpu.value)} h ({_format_hours(cpu.low)} to {_format_hours(cpu.high)}), "
            f"{plan.parent_s / cpu.value:.0%} of it in the parent",
            f"wall: {_format_hours(plan.wall_s)} h with --workers {plan.workers} on this machine",
            f"disk: {plan.shard_bytes / mega:,.1f} MB of shards, {plan.ledger_bytes / mega:,.1f} MB of ledger",
            f"memory: {plan.train_bytes / mega:,.1f} MB for the training split",
            f"shards: decode.shards = {plan.params.shards} makes tars of {plan.largest / plan.params.shards / mega:,.1f} MB in the "
            f"largest split; for 256 to 512 MB each take {f'{least} to {most}' if least < most else least}",
            "Intervals are of 95 %, from the spread of the measured clips; all else scales with their mean.",
        ]
    )


def _measure_costs(
    drawn: Sequence[Clip], params: Decode
) -> list[tuple[TimedResult[Any], ClipOutcome, float]]:
    """Each clip's answer, outcome and the parent's CPU seconds; one that took its worker down or hung has no cost of its own."""
    function = functools.partial(media.decode, tracks=params.tracks, backends=params.backends)
    limits: dict[str, Any] = {
        "deadline_s": params.deadline_s,
        "memory_mb": params.memory_mb,
        "recycle": params.recycle,
    }
    # The first is decoded twice: what is loaded for it belongs to the worker's start.
    batches = [drawn[:1], drawn]
    spent, began = [], time.process_time()
    answers = Engine(workers=1).work(
        functools.partial(measure_cost, function=function), batches, **limits
    )
    for clip, answer in answers:
        known = (
            TimedResult(result=answer, cpu_s=0.0, wall_s=0.0)
            if isinstance(answer, MediaError)
            else answer
        )
        part = make_outcome(clip, "shard-00000", known.result, params)
        spent.append((known, part, time.process_time() - began))
        began = time.process_time()
    return spent[1:]


def _make_trial(answer: TimedResult[Any], part: ClipOutcome, parent_s: float) -> ClipTrial:
    return ClipTrial(
        worker_cpu_s=answer.cpu_s,
        worker_wall_s=answer.wall_s,
        parent_s=parent_s,
        windows=len(part.samples),
        reason=part.rows[0]["reason"],
    )


def _measure_writing(parts: Sequence[ClipOutcome]) -> tuple[float, WindowBytes]:
    """Write the samples as one shard: the parent's seconds for a window, and the bytes."""
    samples: list[Sample] = [sample for part in parts for sample in part.samples]
    rows = [row for part in parts for row in part.rows]
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        write_shard(Path(folder), "shard-00000", "", samples, rows)
        spent = time.process_time() - began
        with tarfile.open(Path(folder) / "shard-00000.tar") as tar:
            tar.getmembers()
            length = tar.offset  # where the last member ends
    window = WindowBytes(
        tar=length / len(samples),
        memory=sum(array.nbytes for sample in samples for array in sample.arrays.values())
        / len(samples),
        ledger=sum(len(",".join(row.values()).encode()) + 1 for row in rows) / len(parts),
    )
    return spent / len(samples), window


def _children_s() -> float:
    """CPU seconds of the processes that this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _count_reasons(fates: Any) -> dict[str, int]:
    return dict(sorted(Counter(fate.reason for fate in fates.values()).items()))


def _format_counts(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _format_hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"
