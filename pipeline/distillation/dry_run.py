"""The estimate of a cell: shapes, memory, runs, and time, measured on a few real steps."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pipeline.core.checkpoints import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.records import Rows, SyntheticSet
    from pipeline.distillation.run import DistillCell

# Steps that are measured. The first one, in which a device starts up, is not timed if there are
# more.
STEPS = 5
# The measurement stops after the first step that ends later than this.
LONGEST_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The measured cost of some steps of a run.

    Args:
        steps: of the whole run.
        timed: steps that `step_s` is the mean of.
        step_s: seconds per step.
        mib: peak memory of the device in MiB; None on a CPU.
    """

    steps: int
    timed: int
    step_s: float
    mib: float | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The estimated cost of a cell.

    Args:
        cell: the cell.
        seeds: its seeds.
        start: the set that the rows start from.
        parameters: weights in the towers of the matching network; None if nothing is optimised.
        pace: of one run; None if nothing is optimised.
    """

    cell: DistillCell
    seeds: Sequence[int]
    start: SyntheticSet
    parameters: int | None
    pace: Pace | None

    @property
    def candidates(self) -> int:
        """Number of runs behind the choice of a step size; 0 without a choice."""
        variants = self.cell.variants
        return sum(variant.moves for variant in variants) if len(variants) > 1 else 0


def estimate(cell: DistillCell, seeds: Sequence[int]) -> Estimate:
    """Measure the first steps of the first run; nothing is saved.

    Args:
        cell: the cell.
        seeds: its seeds.

    Raises:
        CellError: the cell would fail before, or in, these steps.

    Example:
        print(describe(estimate(cell, [0, 1, 2])))
    """
    network = cell.distiller.network_of(cell.inputs)
    towers = network.build(cell.inputs.real.shapes, torch.Generator()) if network else None
    return Estimate(
        cell=cell,
        seeds=seeds,
        start=cell.variants[0].begin(cell.inputs, ipc=cell.ipc, seed=seeds[0]),
        parameters=sum(weights.numel() for weights in towers.parameters()) if towers else None,
        pace=_measure_pace(cell, seeds[0]),
    )


def describe(plan: Estimate) -> str:
    """Format an estimate as lines of text.

    Args:
        plan: the estimate.

    Example:
        describe(estimate(cell, [0])).splitlines()[0]  # "dm: 10 classes x ipc 1 = 10 stored rows"
    """
    cell, real = plan.cell, plan.cell.inputs.real
    shape = f"{len(real.classes)} classes x ipc {cell.ipc} = {len(plan.start.label)} stored rows"
    mib = _measure_mib(real.rows)
    return "\n".join(
        [
            f"{cell.method}: {shape}",
            *(_describe_rows(plan.start, m) for m in plan.start.rows),
            f"device: {cell.runtime.device}",
            f"real set: {len(real):,} samples, {mib:,.1f} MiB, "
            + _describe_memory(mib, cell.runtime.room_mb),
            f"rows: {_measure_mib(plan.start.rows):,.1f} MiB",
            *_describe_runs(plan),
        ]
    )


def _describe_rows(start: SyntheticSet, modality: str) -> str:
    rows, (high, wide) = start.rows[modality], start.formation[modality]
    shape = " x ".join(map(str, rows.shape[1:]))
    instances = len(rows) * high * wide
    return (
        f"{modality}: rows of {shape}, {high} x {wide} pieces each: {instances} training instances"
    )


def _describe_runs(plan: Estimate) -> list[str]:
    if plan.pace is None:
        none = f"none, {plan.cell.method} optimises nothing"
        return [f"runs: {none}; {len(plan.seeds)} sets, in seconds"]
    pace, count = plan.pace, plan.candidates + len(plan.seeds)
    tried, again, choice = "", "", ""
    if plan.candidates:
        plural = "s" * (plan.candidates > 1)
        tried = f"{plan.candidates} candidate{plural} with seed {plan.seeds[0]}, then "
        again = ", one less if the chosen candidate is one of those"
        choice = "; the students that choose among the candidates are not included"
    seeds = f"seeds {', '.join(map(str, plan.seeds))}"
    timed = f"{pace.timed} real {'steps' if pace.timed > 1 else 'step'} on this machine"
    memory = f"device memory: {pace.mib:,.0f} MiB at most in these steps" if pace.mib else ""
    return [
        f"network: {plan.parameters:,} parameters in its towers",
        *([memory] if memory else []),
        f"runs: {count} of {pace.steps} steps: {tried}{seeds}{again}",
        f"step: {pace.step_s:.3g} s, measured from {timed}",
        f"time: about {_format_seconds(count * pace.steps * pace.step_s)}{choice}",
    ]


def _describe_memory(mib: float, memory_mb: float) -> str:
    if mib > memory_mb:
        return f"more than the {memory_mb:,.0f} of --memory-mb: moved to the device batch by batch"
    return f"within the {memory_mb:,.0f} of --memory-mb: kept on the device"


def _measure_mib(rows: Mapping[str, Rows]) -> float:
    return sum(values.nbytes for values in rows.values()) / 2**20


def _format_seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"


class _EnoughError(Exception):
    """Ends a run that is only measured."""


class _PaceReporter:
    """A report function that notes when steps end, and stops the run after some.

    Args:
        warms: the first step is never timed, because it compiles the kernels of a GPU.
    """

    def __init__(self, warms: bool) -> None:
        self._warms, self._start, self._ends = warms, time.monotonic(), list[float]()
        self._steps = 0
        self._mib: float | None = None

    def __call__(self, done: int, total: int, **figures: float) -> None:
        self._ends.append(time.monotonic())
        self._steps, self._mib = total, figures.get("MiB")
        start = self._ends[0] if self._warms else self._start
        if len(self._ends) == STEPS or self._ends[-1] - start > LONGEST_S:
            raise _EnoughError

    def pace(self) -> Pace | None:
        """Return the pace of the timed steps; None if there was no step."""
        if not self._ends:
            return None
        first, *later = self._ends if len(self._ends) > 1 else [self._start, *self._ends]
        step_s = (later[-1] - first) / len(later)
        return Pace(steps=self._steps, timed=len(later), step_s=step_s, mib=self._mib)


def _measure_pace(cell: DistillCell, seed: int) -> Pace | None:
    reporter = _PaceReporter(cell.runtime.device.type != "cpu")
    runtime = replace(cell.runtime, report=reporter, checkpoint=Checkpoint())
    moving = next((variant for variant in cell.variants if variant.moves), cell.variants[0])
    with suppress(_EnoughError):
        moving.distill(cell.inputs, ipc=cell.ipc, seed=seed, runtime=runtime)
    return reporter.pace()
