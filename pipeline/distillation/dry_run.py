"""What a cell will take, before it is begun: shapes, memory, descents, and the time of a few real steps on this machine."""

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

# Steps that are taken; the first, in which a device wakes up, is not timed where there are more.
STEPS = 5
# Seconds after which the step on its way is the last.
LONGEST_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What some steps of a descent took.

    Args:
        steps: of the whole descent; `timed`: those behind `step_s`, the seconds of one.
        mib: what the device has given at most, where it counts.
    """

    steps: int
    timed: int
    step_s: float
    mib: float | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A cell, and what it will take.

    Args:
        start: the set that its rows start from.
        parameters: weights in the towers of the network that moves the rows; `pace`: of a descent; None where nothing is optimised.
    """

    cell: DistillCell
    seeds: Sequence[int]
    start: SyntheticSet
    parameters: int | None
    pace: Pace | None

    @property
    def candidates(self) -> int:
        """Descents behind the choice of a step size; none where there is no choice."""
        variants = self.cell.variants
        return sum(variant.moves for variant in variants) if len(variants) > 1 else 0


def estimate(cell: DistillCell, seeds: Sequence[int]) -> Estimate:
    """Take the first steps of the first descent, and keep nothing of them.

    Raises:
        CellError: what the cell itself would raise before, or in, these steps.
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
    """The estimate as lines for a reader."""
    cell, real = plan.cell, plan.cell.inputs.real
    return "\n".join(
        [
            f"{cell.method}: {len(real.classes)} classes x ipc {cell.ipc} = {len(plan.start.label)} stored rows",
            *(_describe_rows(plan.start, m) for m in plan.start.rows),
            f"device: {cell.runtime.device}",
            f"real set: {len(real):,} samples, {_mib(real.rows):,.1f} MiB, {_describe_memory(_mib(real.rows), cell.runtime.memory_mb)}",
            f"rows: {_mib(plan.start.rows):,.1f} MiB",
            *_describe_runs(plan),
        ]
    )


def _describe_rows(start: SyntheticSet, modality: str) -> str:
    rows, (high, wide) = start.rows[modality], start.formation[modality]
    shape = " x ".join(map(str, rows.shape[1:]))
    return f"{modality}: rows of {shape}, {high} x {wide} pieces each: {len(rows) * high * wide} training instances"


def _describe_runs(plan: Estimate) -> list[str]:
    if plan.pace is None:
        return [
            f"descents: none, {plan.cell.method} optimises nothing; {len(plan.seeds)} sets, in seconds"
        ]
    pace, count = plan.pace, plan.candidates + len(plan.seeds)
    tried = (
        f"{plan.candidates} candidate{'s' * (plan.candidates > 1)} with seed {plan.seeds[0]}, then "
        * bool(plan.candidates)
    )
    again = ", less one if a candidate is chosen as it was tried" * bool(plan.candidates)
    choice = "; the students that choose among the candidates are not in it" * bool(plan.candidates)
    return [
        f"network: {plan.parameters:,} parameters in its towers",
        *(
            [f"device memory: {pace.mib:,.0f} MiB at most in these steps"]
            if pace.mib is not None
            else []
        ),
        f"descents: {count} of {pace.steps} steps: {tried}seeds {', '.join(map(str, plan.seeds))}{again}",
        f"step: {pace.step_s:.3g} s, measured from {pace.timed} real {'steps' if pace.timed > 1 else 'step'} on this machine",
        f"time: about {_format_seconds(count * pace.steps * pace.step_s)}{choice}",
    ]


def _describe_memory(mib: float, memory_mb: float) -> str:
    if mib > memory_mb:
        return f"more than the {memory_mb:,.0f} of --memory-mb: moved to the device batch by batch"
    return f"within the {memory_mb:,.0f} of --memory-mb: kept on the device"


def _mib(rows: Mapping[str, Rows]) -> float:
    return sum(values.nbytes for values in rows.values()) / 2**20


def _format_seconds(seconds: float) -> str:
    return (
        f"{seconds:.2g} s"
        if seconds < 60
        else f"{seconds / 60:.2g} min"
        if seconds < 3600
        else f"{seconds / 3600:.3g} h"
    )


class _EnoughError(Exception):
    """Ends a descent that is only measured."""


class _PaceReporter:
    """A descent's report: notes when steps end, and ends the descent after some.

    Args:
        warms: whether the first step is left out whatever it takes, as where it compiles a GPU's kernels.
    """

    def __init__(self, warms: bool) -> None:
        self._warms, self._began, self._ends = warms, time.monotonic(), list[float]()
        self._steps = 0
        self._mib: float | None = None

    def __call__(self, done: int, total: int, **figures: float) -> None:
        self._ends.append(time.monotonic())
        self._steps, self._mib = total, figures.get("MiB")
        if (
            len(self._ends) == STEPS
            or self._ends[-1] - (self._ends[0] if self._warms else self._began) > LONGEST_S
        ):
            raise _EnoughError

    def pace(self) -> Pace | None:
        """None if there was no step."""
        if not self._ends:
            return None
        first, *later = self._ends if len(self._ends) > 1 else [self._began, *self._ends]
        return Pace(
            steps=self._steps,
            timed=len(later),
            step_s=(later[-1] - first) / len(later),
            mib=self._mib,
        )


def _measure_pace(cell: DistillCell, seed: int) -> Pace | None:
    watch = _PaceReporter(cell.runtime.device.type != "cpu")
    runtime = replace(cell.runtime, report=watch, checkpoint=Checkpoint())
    moving = next((variant for variant in cell.variants if variant.moves), cell.variants[0])
    with suppress(_EnoughError):
        moving.distill(cell.inputs, ipc=cell.ipc, seed=seed, runtime=runtime)
    return watch.pace()
