"""Cells of the toy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pipeline.distillation import run as cells
from pipeline.distillation.inputs import Runtime
from pipeline.evaluation import Evaluate
from pipeline.training.loop import ignore_progress
from pipeline.training.students import StudentTrainer
from tests.toys.golden import bank
from tests.toys.golden import distiller as golden
from tests.toys.plugins import NETWORKS, built, toy_bench, toy_inputs
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real


def cell(
    method: str, *, report: Any = ignore_progress, memory_mb: float = 64.0, **changes: Any
) -> cells.DistillCell:
    """The toy's cell of a method."""
    distiller = golden(method, **changes)
    machine = Runtime(device=CPU, report=report, memory_mb=memory_mb)
    budget = dataclasses.replace(values().build("evaluate", Evaluate).protocols.budget, steps=2)
    given: dict[str, Any] = {
        "inputs": toy_inputs(bank=bank()),
        "runtime": machine,
        "budget": budget,
        "trainer": toy_bench().trainer,
    }
    return cells.DistillCell(
        method=method, distiller=distiller, ipc=2, val=toy_real(4, seed=1), **given
    )


SEEDS = (0, 1)


def toy_cell(
    method: str, *, steps: int = 3, rates: tuple[float, ...] = (0.5, 1.0), **machine: Any
) -> cells.DistillCell:
    """A cell of the toy, with step sizes to choose from."""
    distiller = dataclasses.replace(
        built("method", method), steps=steps, rates=dict.fromkeys(("frame", "logmel"), rates)
    )
    budget = dataclasses.replace(
        values().build("evaluate", Evaluate).protocols.budget, steps=2, trials=2
    )
    trainer = StudentTrainer(
        network=NETWORKS["convnet"],
        head=built("head", "ensemble"),
        device=CPU,
        threads=2,
        report=ignore_progress,
    )
    return cells.DistillCell(
        method=method,
        distiller=distiller,
        ipc=1,
        inputs=toy_inputs(),
        runtime=Runtime(**{"device": CPU, "report": ignore_progress, **machine}),
        budget=budget,
        trainer=trainer,
        val=toy_real(4, seed=1),
    )


def files(folder: Path) -> dict[str, bytes]:
    """Return the name and content of each file in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
