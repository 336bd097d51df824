"""TODO from stages/teach.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pipeline.core.params import Params
    from pipeline.core.records import RealSet
    from pipeline.kd import KDData, KDRun, StudentSettings, TeachSettings, TrainingSet


def _build_run(
    method: str,
    train_set: Path,
    features: Path,
    shards: Path | None,
    ipc: int,
    params: Params,
    device: torch.device,
) -> KDRun:
    """The method in its classroom; every name is known before anything is read."""
    from pipeline.core import plugins
    from pipeline.core.plugins import build_all
    from pipeline.kd import KDRun, StudentSettings, TeachSettings, refuse_own_teacher

    settings = params.build("teach", TeachSettings)
    plugin = plugins.build("kd method", method, params)
    student = params.build(f"students.{settings.student}", StudentSettings)
    network = plugins.pick(build_all("network", params), student.network, "network")
    refuse_own_teacher(settings, student)
    room = _read_data(train_set, features, shards, ipc, settings, student, device)
    return KDRun(
        room=room,
        settings=settings,
        student=student,
        network=network,
        method=plugin,
        weight=1.0,
        rate=settings.lowest,
        name=(),
    )


def _digest_inputs(method: str, course: KDRun, seeds: Sequence[int], device: torch.device) -> str:
    """Digest of all that decides the students."""
    from dataclasses import asdict

    from pipeline.core.code import digest_code
    from pipeline.core.files import digest_of

    parts: tuple[Any, ...] = (course.method, course.settings, course.student, course.network)
    values = [asdict(part) for part in parts]
    code = digest_code([__name__], parts)
    return digest_of([code, method, values, course.room.digest, seeds, device.type])


def _read_data(
    train_set: Path,
    features: Path,
    shards: Path | None,
    ipc: int,
    settings: TeachSettings,
    student: StudentSettings,
    device: torch.device,
) -> KDData:
    from pipeline.core.records import SPLITS
    from pipeline.evaluation import refuse_absent_classes
    from pipeline.kd import build_data, read_tables, select_view
    from pipeline.shards.read import read_shards

    place = _find_shards(train_set, shards)
    real = {split: read_shards(place / split) for split in SPLITS}
    tables = read_tables(features, {split: own.digest for split, own in real.items()})
    views = {split: select_view(student, split, own, tables) for split, own in real.items()}
    for split, view in views.items():
        refuse_absent_classes(view, split)
    train = _read_train_set(train_set, ipc, student, views["train"], real["train"], device)
    without = {f"{split} windows": len(own) - len(views[split]) for split, own in real.items()}
    return build_data(train, views, tables, settings.teachers, without)


def _find_shards(train_set: Path, shards: Path | None) -> Path:
    from pipeline.core.errors import ParamsError

    if shards is None and not train_set.is_dir():
        raise ParamsError(
            f"{train_set} is no folder of training shards; add --shards, the folder above train, val and test"
        )
    return shards or train_set.parent


def _read_train_set(
    train_set: Path,
    ipc: int,
    student: StudentSettings,
    view: RealSet,
    real: RealSet,
    device: torch.device,
) -> TrainingSet:
    """The training set, by what it is: a folder of shards, a ranking, an artifact."""
    from pipeline.artifact import read_artifact
    from pipeline.core.errors import ParamsError, SourceError
    from pipeline.core.files import read_json
    from pipeline.coresets.rankings import Coreset
    from pipeline.evaluation import refuse_other_data
    from pipeline.kd import build_from_artifact, build_from_coreset, build_from_shards

    def load_coreset() -> TrainingSet:
        if ipc < 1:
            raise ParamsError(
                f"{train_set} ranks samples, and --ipc is {ipc}; say how many of each class to take, 1 or more"
            )
        return build_from_coreset(
            Coreset.from_json(read_json(train_set, "coreset")), ipc, view, device
        )

    def load_artifact() -> TrainingSet:
        synthetic = read_artifact(train_set).synthetic
        refuse_other_data(synthetic, real, train_set.name)
        return build_from_artifact(synthetic, student, train_set.name, real, device)

    kinds = {
        "": lambda: build_from_shards(view, device),
        ".json": load_coreset,
        ".h5": load_artifact,
    }
    kind = "" if train_set.is_dir() else train_set.suffix
    if kind not in kinds or not train_set.exists():
        raise SourceError(
            f"{train_set} is no training set; expected a folder of shards, a ranking (.json) or an artifact (.h5)"
        )
    return kinds[kind]()
