"""Predict CPU, wall time, disk, memory and tars of decoding a manifest, from a sample of clips."""

from __future__ import annotations

import functools
import math
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
from pipeline.shards.engines.local import Engine
from pipeline.shards.index import shard_of
from pipeline.shards.machine import count_processors
from pipeline.shards.outcomes import make_outcome, refuse_before_decoding
from pipeline.shards.write import write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.core.records import Clip, Sample
    from pipeline.shards.outcomes import ClipOutcome
    from pipeline.shards.settings import DecodeSettings

SEED = 0
# Standard deviations of a normal distribution in a 95 % interval.
DEVIATIONS = 1.96
# Bytes of a tar beside its members: two empty blocks, and on average half of the 10,240 bytes to
# which its length is rounded up.
TAR_END = 1024 + 10240 / 2
# Bytes of a tar that streams well and costs little to write again.
TAR_BYTES = (256e6, 512e6)


@dataclass(frozen=True, kw_only=True)
class ClipTrial:
    """The measured cost of one sampled clip.

    Args:
        worker_cpu_s: CPU seconds in its worker.
        worker_wall_s: seconds in its worker.
        parent_s: CPU seconds in the parent.
        windows: that were written.
        reason: why there were none, or empty.
    """

    worker_cpu_s: float
    worker_wall_s: float
    parent_s: float
    windows: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class WindowBytes:
    """Mean sizes in bytes.

    Args:
        tar: of a window in a tar.
        memory: of a window's arrays in memory.
        ledger: of a clip's rows in the ledger, with those of its windows.
    """

    tar: float
    memory: float
    ledger: float


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A prediction and its 95 % interval.

    Args:
        value: the prediction.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The predicted cost of decoding a manifest.

    Args:
        clips: split -> clips of the manifest.
        refused: reason -> clips that are refused without being decoded.
        trials: costs of the sampled clips.
        window: mean sizes.
        tars: that will be written.
        start_s: CPU seconds of a worker's start.
        params: section `decode`.
        workers: processes at once.
    """

    clips: dict[str, int]
    refused: dict[str, int]
    trials: list[ClipTrial]
    window: WindowBytes
    tars: int
    start_s: float
    params: DecodeSettings
    workers: int

    def extrapolate(self, measure: Callable[[ClipTrial], float]) -> Interval:
        """Predict a total over all clips to decode; it is exact if all were sampled.

        Args:
            measure: returns a clip's part of the total.
        """
        values, clips = [measure(trial) for trial in self.trials], self.remaining
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        correction = math.sqrt(max(1 - len(values) / clips, 0))  # for a finite population
        value = clips * statistics.fmean(values)
        half = DEVIATIONS * clips * spread * correction / math.sqrt(len(values))
        return Interval(value=value, low=max(value - half, 0), high=value + half)

    @property
    def remaining(self) -> int:
        """Number of clips to decode."""
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
        """The longest of three: the parent's, the workers', and all CPU time over the cores."""
        worker_s = self.extrapolate(lambda trial: trial.worker_wall_s).value + self.starts_s
        cpu_s, cores = self.cpu_s.value + self.starts_s, count_processors()
        return max(self.parent_s, worker_s / self.workers, cpu_s / cores)

    def windows_of(self, split: str) -> float:
        """Predict the windows of a split, if its clips are like the others.

        Args:
            split: train, val or test.
        """
        return self.windows.value * self.clips[split] / sum(self.clips.values())

    @property
    def shard_bytes(self) -> float:
        return self.windows.value * self.window.tar + self.tars * TAR_END

    @property
    def ledger_bytes(self) -> float:
        return sum(self.clips.values()) * self.window.ledger

    @property
    def train_bytes(self) -> float:
        """Bytes of the training split in memory."""
        return self.windows_of("train") * self.window.memory

    @property
    def largest_split_bytes(self) -> float:
        """Bytes of the largest split, which decide the best number of tars."""
        return max(self.windows_of(split) for split in SPLITS) * self.window.tar


def forecast(clips: Sequence[Clip], params: DecodeSettings, sample: int, workers: int) -> Forecast:
    """Decode a sample of the clips with one worker, and predict the cost of all.

    Args:
        clips: of the manifest.
        params: section `decode`.
        sample: clips to decode, drawn with a fixed seed.
        workers: processes at once, for the prediction.

    Raises:
        ParamsError: `sample` is below 1.
        SourceError: no clip of the sample has a window.
    """
    if sample < 1:
        raise ParamsError(f"--sample {sample}: a prediction needs one clip or more")
    refused = refuse_before_decoding(clips, params.drop_duplicates)
    reasons = Counter(status.reason for status in refused.values())
    drawn = _draw_clips([clip for clip in clips if clip.clip_id not in refused], sample)
    children_s, costs = _children_s(), _measure_costs(drawn, params)
    worker_cpu_s = sum(result.cpu_s for result, _, _ in costs)
    write_s, window = _measure_writing([outcome for _, outcome, _ in costs], reasons)
    return Forecast(
        clips={split: sum(clip.split == split for clip in clips) for split in SPLITS},
        refused=dict(sorted(reasons.items())),
        trials=[
            _make_trial(result, outcome, parent_s + write_s * len(outcome.samples))
            for result, outcome, parent_s in costs
        ],
        window=window,
        tars=len({(clip.split, shard_of(clip.clip_id, params.shards)) for clip in clips}),
        start_s=max(_children_s() - children_s - worker_cpu_s, 0.0),
        params=params,
        workers=workers,
    )


def describe(plan: Forecast) -> str:
    """Format a forecast and its basis as lines of text.

    Args:
        plan: from `forecast`.
    """
    cpu, windows, split_bytes = plan.cpu_s, plan.windows, plan.largest_split_bytes
    splits = ", ".join(f"{plan.clips[split]:,} {split}" for split in SPLITS)
    refused = f"; refused before decoding: {_format_counts(plan.refused)}" if plan.refused else ""
    outcomes = Counter(trial.reason or "ok" for trial in plan.trials)
    worker_s = sum(trial.worker_cpu_s for trial in plan.trials)
    parent_s = sum(trial.parent_s for trial in plan.trials)
    least, most = (max(math.ceil(split_bytes / size), 1) for size in reversed(TAR_BYTES))
    return "\n".join(
        [
            f"clips: {sum(plan.clips.values()):,} ({splits}){refused}",
            f"measured: {len(plan.trials)} clips, drawn with seed {SEED}: "
            f"{_format_counts(outcomes)}; {worker_s:.2f} CPU s in the worker, "
            f"{plan.start_s:.2f} to start it, {parent_s:.2f} in the parent",
            f"windows: {windows.value:,.0f} ({windows.low:,.0f} to {windows.high:,.0f})",
            f"CPU: {_format_hours(cpu.value)} h "
            f"({_format_hours(cpu.low)} to {_format_hours(cpu.high)}), "
            f"{plan.parent_s / cpu.value:.0%} of it in the parent",
            f"wall: {_format_hours(plan.wall_s)} h with --workers {plan.workers} on this machine",
            f"disk: {_format_mb(plan.shard_bytes)} of shards, "
            f"{_format_mb(plan.ledger_bytes)} of ledger",
            f"memory: {_format_mb(plan.train_bytes)} for the training split",
            f"shards: decode.shards = {plan.params.shards} makes tars of "
            f"{_format_mb(split_bytes / plan.params.shards)} in the largest split; "
            f"for 256 to 512 MB each take {f'{least} to {most}' if least < most else least}",
            "Intervals are of 95 %, from the spread of the measured clips; "
            "all else scales with their mean.",
        ]
    )


def _draw_clips(clips: Sequence[Clip], count: int) -> list[Clip]:
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    return random.Random(SEED).sample(ordered, min(count, len(ordered)))


def _measure_costs(
    drawn: Sequence[Clip], params: DecodeSettings
) -> list[tuple[TimedResult[Any], ClipOutcome, float]]:
    """Return each clip's result, outcome and CPU seconds in the parent.

    A clip that crashed its worker or exceeded a limit has no cost.
    """
    function = functools.partial(media.decode, tracks=params.tracks, backends=params.backends)
    timed = functools.partial(measure_cost, function=function)
    # The first clip is decoded twice: modules that it loads belong to the worker's start.
    batches = [drawn[:1], drawn]
    costs, began = [], time.process_time()
    for clip, answer in Engine(workers=1).work(timed, batches, **params.limits):
        result = (
            TimedResult(result=answer, cpu_s=0.0, wall_s=0.0)
            if isinstance(answer, MediaError)
            else answer
        )
        outcome = make_outcome(clip, "shard-00000", result.result, params)
        costs.append((result, outcome, time.process_time() - began))
        began = time.process_time()
    return costs[1:]


def _make_trial(result: TimedResult[Any], outcome: ClipOutcome, parent_s: float) -> ClipTrial:
    return ClipTrial(
        worker_cpu_s=result.cpu_s,
        worker_wall_s=result.wall_s,
        parent_s=parent_s,
        windows=len(outcome.samples),
        reason=outcome.rows[0]["reason"],
    )


def _measure_writing(
    outcomes: Sequence[ClipOutcome], refused: Mapping[str, int]
) -> tuple[float, WindowBytes]:
    """Write the samples as one shard; return the CPU seconds per window, and mean sizes.

    Raises:
        SourceError: there is no sample.
    """
    samples: list[Sample] = [sample for outcome in outcomes for sample in outcome.samples]
    if not samples:
        reasons = Counter(outcome.rows[0]["reason"] for outcome in outcomes) or refused
        raise SourceError(
            f"none of {len(outcomes)} sampled clips could be decoded "
            f"({_format_counts(reasons)}); check the paths of the manifest"
        )
    rows = [row for outcome in outcomes for row in outcome.rows]
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        write_shard(Path(folder), "shard-00000", "", samples, rows)
        write_s = time.process_time() - began
        with tarfile.open(Path(folder) / "shard-00000.tar") as tar:
            tar.getmembers()
            tar_bytes = tar.offset  # the end of the last member
    memory = sum(array.nbytes for sample in samples for array in sample.arrays.values())
    ledger = sum(len(",".join(row.values()).encode()) + 1 for row in rows)
    window = WindowBytes(
        tar=tar_bytes / len(samples),
        memory=memory / len(samples),
        ledger=ledger / len(outcomes),
    )
    return write_s / len(samples), window


def _children_s() -> float:
    """Return the CPU seconds of this process's children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _format_hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"


def _format_mb(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
