"""training set and teachers' vectors -> students and what they reach"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._machine import checkpoints_beside, device_of
from stages._seconds import write_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pipeline.params import Params
    from pipeline.records import RealSet
    from pipeline.teaching import Classroom, Course, Measured, Student, Teach, Train


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
    from pipeline.files import refuse_existing
    from pipeline.materials import Machine
    from pipeline.params import Grid
    from pipeline.parts import Parts
    from pipeline.teaching import measured

    refuse_existing(out)
    machine = Machine(device=device_of(device), report=report)
    seeds = params.build("grid", Grid).seeds
    course = _course(method, train_set, features, shards, ipc, params, machine.device)
    parts = Parts(folder=checkpoints_beside(out) / _decides(method, course, seeds, machine.device)[:16])
    began = time.monotonic()
    found = measured(course, seeds, machine, parts)
    _write(out, method, course, found)
    write_seconds(out, time.monotonic() - began, machine.device)
    parts.remove()
    return "\n".join([*_lines(method, course, found), f"-> {out}"])


def _course(
    method: str, train_set: Path, features: Path, shards: Path | None, ipc: int, params: Params, device: torch.device
) -> Course:
    """The method in its classroom; every name is known before anything is read."""
    from pipeline import plugins
    from pipeline.teaching import Course, Student, Teach, refuse_own_teacher
    from stages._plugins import every

    settings = params.build("teach", Teach)
    plugin = params.build(f"kd.{method}", plugins.find("kd", method))
    student = params.build(f"students.{settings.student}", Student)
    network = plugins.pick(every("networks", params), student.network, "network")
    refuse_own_teacher(settings, student)
    room = _classroom(train_set, features, shards, ipc, settings, student, device)
    return Course(
        room=room, settings=settings, student=student, network=network, method=plugin, weight=1.0, rate=settings.lowest, name=()
    )


def _decides(method: str, course: Course, seeds: Sequence[int], device: torch.device) -> str:
    """Digest of all that decides the students."""
    from dataclasses import asdict

    from pipeline.files import code_digest, digest_of

    values = [asdict(part) for part in (course.method, course.settings, course.student, course.network)]  # type: ignore[arg-type]
    return digest_of([code_digest(), method, values, course.room.digest, seeds, device.type])


def _classroom(
    train_set: Path, features: Path, shards: Path | None, ipc: int, settings: Teach, student: Student, device: torch.device
) -> Classroom:
    from pipeline.evaluation import refuse_absent_classes
    from pipeline.records import SPLITS
    from pipeline.shards import read_shards
    from pipeline.teaching import enter, read_tables, seen

    place = _shards(train_set, shards)
    real = {split: read_shards(place / split) for split in SPLITS}
    tables = read_tables(features, {split: own.digest for split, own in real.items()})
    views = {split: seen(student, split, own, tables) for split, own in real.items()}
    for split, view in views.items():
        refuse_absent_classes(view, split)
    train = _train(train_set, ipc, student, views["train"], real["train"], device)
    without = {f"{split} windows": len(own) - len(views[split]) for split, own in real.items()}
    return enter(train, views, tables, settings.teachers, without)


def _shards(train_set: Path, shards: Path | None) -> Path:
    from pipeline.errors import ParamsError

    if shards is None and not train_set.is_dir():
        raise ParamsError(f"{train_set} is no folder of training shards; add --shards, the folder above train, val and test")
    return shards or train_set.parent


def _train(train_set: Path, ipc: int, student: Student, view: RealSet, real: RealSet, device: torch.device) -> Train:
    """The training set, by what it is: a folder of shards, a ranking, an artifact."""
    from pipeline.artifact import read_artifact
    from pipeline.errors import ParamsError, SourceError
    from pipeline.evaluation import refuse_other_data
    from pipeline.files import read_json
    from pipeline.rankings import Coreset
    from pipeline.teaching import of_artifact, of_coreset, of_shards

    def chosen() -> Train:
        if ipc < 1:
            raise ParamsError(f"{train_set} ranks samples, and --ipc is {ipc}; say how many of each class to take, 1 or more")
        return of_coreset(Coreset.from_json(read_json(train_set, "coreset")), ipc, view, device)

    def distilled() -> Train:
        synthetic = read_artifact(train_set).synthetic
        refuse_other_data(synthetic, real, train_set.name)
        return of_artifact(synthetic, student, train_set.name, real, device)

    kinds = {"": lambda: of_shards(view, device), ".json": chosen, ".h5": distilled}
    kind = "" if train_set.is_dir() else train_set.suffix
    if kind not in kinds or not train_set.exists():
        raise SourceError(f"{train_set} is no training set; expected a folder of shards, a ranking (.json) or an artifact (.h5)")
    return kinds[kind]()


def _write(out: Path, method: str, course: Course, found: Measured) -> None:
    """The students, then the scores: what exists is whole."""
    from pipeline import tensors
    from pipeline.files import write_json

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
    write_json(out, {**about, **measured_on, "not_run": found.not_run, "scores": [{**about, **found.scores.to_json()}]})


def _lines(method: str, course: Course, found: Measured) -> list[str]:
    """One line per metric, rows that were not run, and how many rows were left out."""
    from pipeline.records import told

    settings, room = course.settings, course.room
    name = f"{method} {settings.student} <- {'+'.join(settings.teachers)}, {room.name},"
    lines = []
    for metric, rows in found.scores.metrics.items():
        cells = [f"{row} {told(metric, summary)}" for row, summary in rows.items()]
        lines.append(f"{name} {metric}: {'  '.join(cells)}  (n = {rows['student']['n']})")
    left_out = [f"{count} {what}" for what, count in room.without.items() if count]
    return [*lines, *found.not_run, *([f"left out for want of a vector: {', '.join(left_out)}"] if left_out else [])]
