"""training set and teachers' vectors -> students and what they reach"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.kd import KDResult, KDRun


def teach(
    method: str,
    train_set: Path,
    features: Path,
    out: Path,
    *,
    shards: Path | None = None,
    ipc: int = 0,
    params: Params,
    device: str,
    report: Any,
) -> str:
    """Teach a student per seed of grid.seeds, by METHOD, with vectors of a teacher; `none` is the same without.

    METHOD is a section of `kd`. TRAIN_SET is the training split's folder, a ranking of `avdistill coreset` with --ipc, or an
    artifact; for those --shards names the folder above train, val and test. FEATURES is a table of `avdistill extract`, or a
    folder of them: teach.teachers names whose vectors teach, students that read vectors need those of each split. OUT gets the
    scores, its siblings .seed<k>.safetensors the students. Every choice is made on val. An interrupted run goes on from its last
    step.

    Example: avdistill teach ccl data/generated/shards/train work/generated/features.h5 work/generated/taught/ccl.json
    """
    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.files import refuse_existing
    from pipeline.core.params import Grid
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd import train_and_evaluate
    from pipeline.kd.setup import _build_run, _digest_inputs

    refuse_existing(out)
    machine = Runtime(device=device_of(device), report=report)
    seeds = params.build("grid", Grid).seeds
    course = _build_run(method, train_set, features, shards, ipc, params, machine.device)
    parts = PartialResults(
        folder=checkpoint_folder_of(out)
        / _digest_inputs(method, course, seeds, machine.device)[:16]
    )
    began = time.monotonic()
    found = train_and_evaluate(course, seeds, machine, parts)
    _write(out, method, course, found)
    write_seconds(out, time.monotonic() - began, machine.device)
    parts.remove()
    return "\n".join([*_format_lines(method, course, found), f"-> {out}"])


def _write(out: Path, method: str, course: KDRun, found: KDResult) -> None:
    """The students, then the scores: what exists is whole."""
    from pipeline.core import tensors
    from pipeline.core.files import write_json

    room, settings = course.room, course.settings
    about = {
        "method": method,
        "student": settings.student,
        "network": course.student.network,
        "teachers": list(settings.teachers),
        "classes": room.gallery.classes,
    }
    for seed, weights in found.weights.items():
        tensors.save(out.with_suffix(f".seed{seed}.safetensors"), weights, {**about, "seed": seed})
    measured_on = {
        "train_set": room.name,
        "training_rows": len(room.data.label),
        "left_out": room.without,
        "test_windows": len(room.test),
        "queries": f"{len(set(room.test.clips))} clips of the test split",
        "gallery": f"{len(set(room.gallery.clips))} clips of the training split",
        "inputs": room.digest,
    }
    write_json(
        out,
        {
            **about,
            **measured_on,
            "not_run": found.not_run,
            "scores": [{**about, **found.scores.to_json()}],
        },
    )


def _format_lines(method: str, course: KDRun, found: KDResult) -> list[str]:
    """One line per metric, rows that were not run, and how many rows were left out."""
    from pipeline.core.scores import format_score

    settings, room = course.settings, course.room
    name = f"{method} {settings.student} <- {'+'.join(settings.teachers)}, {room.name},"
    lines = []
    for metric, rows in found.scores.metrics.items():
        cells = [f"{row} {format_score(summary)}" for row, summary in rows.items()]
        lines.append(f"{name} {metric}: {'  '.join(cells)}  (n = {rows['student']['n']})")
    left_out = [f"{count} {what}" for what, count in room.without.items() if count]
    return [
        *lines,
        *found.not_run,
        *([f"left out for want of a vector: {', '.join(left_out)}"] if left_out else []),
    ]
