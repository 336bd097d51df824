"""Read a run's inputs: the method, the student, the training set and the feature tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.core import plugins
from pipeline.core.checkpoints import PartialResults
from pipeline.core.code import digest_code
from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.files import digest_of, read_json
from pipeline.core.paths import to_path
from pipeline.core.records import SPLITS, RealSet
from pipeline.coresets.rankings import Coreset
from pipeline.evaluation import refuse_absent_classes, refuse_other_data
from pipeline.kd.data import build_data, select_view
from pipeline.kd.settings import StudentSettings, TeachSettings, refuse_own_teacher
from pipeline.kd.student import KDRun
from pipeline.kd.teacher_features import read_tables
from pipeline.kd.training_sets import build_from_artifact, build_from_coreset, build_from_shards
from pipeline.shards.read import read_shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from pipeline.core.params import Params
    from pipeline.core.paths import AnyPath
    from pipeline.kd.data import KDData
    from pipeline.kd.training_sets import TrainingSet


@dataclass(frozen=True, kw_only=True)
class KDInputs:
    """The paths that a run reads.

    Args:
        train_set: a folder of training shards, a ranking (.json) or an artifact (.h5).
        features: a feature table (.h5), or a folder of them.
        shards: the folder above train, val and test; None if `train_set` lies in it.
        ipc: samples per class of a ranking.
    """

    train_set: Path
    features: Path
    shards: Path | None
    ipc: int


def read_run(method: str, inputs: KDInputs, params: Params, device: torch.device) -> KDRun:
    """Read the data of a method's run; every name is checked before anything is read.

    Args:
        method: a section of `kd`.
        inputs: the paths.
        params: the params file.
        device: where the training set goes.

    Raises:
        ParamsError: a section or value is wrong, or --shards or --ipc is missing.
        SourceError: the training set is of no known kind.
    """
    settings = params.build("teach", TeachSettings)
    plugin = plugins.build("kd method", method, params)
    student = params.build(f"students.{settings.student}", StudentSettings)
    networks = plugins.build_all("network", params)
    network = plugins.pick(networks, student.network, "network")
    refuse_own_teacher(settings, student)
    return KDRun(
        data=_read_data(inputs, settings, student, device),
        settings=settings,
        student=student,
        network=network,
        method=plugin,
        weight=1.0,
        rate=settings.lowest,
        name=(),
    )


def make_cache(
    folder: AnyPath, method: str, run: KDRun, seeds: Sequence[int], device: torch.device
) -> PartialResults:
    """Return the cache of a run, named after everything that decides the students.

    That is the code, values, data, seeds and the kind of device.

    Args:
        folder: of unfinished work.
        method: a section of `kd`.
        run: of that method.
        seeds: one student each.
        device: where they are trained.
    """
    folder = to_path(folder)
    parts: tuple[Any, ...] = (run.method, run.settings, run.student, run.network)
    values = [asdict(part) for part in parts]
    code = digest_code([__name__], parts)
    digest = digest_of([code, method, values, run.data.digest, seeds, device.type])
    return PartialResults(folder=folder / digest[:16])


def _read_data(
    inputs: KDInputs, settings: TeachSettings, student: StudentSettings, device: torch.device
) -> KDData:
    folder = _find_shards(inputs)
    real = {split: read_shards(folder / split) for split in SPLITS}
    tables = read_tables(inputs.features, {name: split.digest for name, split in real.items()})
    views = {name: select_view(student, name, split, tables) for name, split in real.items()}
    for name, view in views.items():
        refuse_absent_classes(view, name)
    train = _read_train_set(inputs, student, views["train"], real["train"], device)
    left_out = {f"{name} windows": len(split) - len(views[name]) for name, split in real.items()}
    return build_data(train, views, tables, settings.teachers, left_out)


def _find_shards(inputs: KDInputs) -> Path:
    if inputs.shards is None and not inputs.train_set.is_dir():
        raise ParamsError(
            f"{inputs.train_set} is not a folder of training shards; "
            "add --shards, the folder above train, val and test"
        )
    return inputs.shards or inputs.train_set.parent


def _read_train_set(
    inputs: KDInputs, student: StudentSettings, view: RealSet, real: RealSet, device: torch.device
) -> TrainingSet:
    """Read a folder of shards, a ranking or an artifact."""
    path = inputs.train_set

    def take_coreset() -> TrainingSet:
        if inputs.ipc < 1:
            raise ParamsError(
                f"{path} ranks samples, and --ipc is {inputs.ipc}; "
                "set the number of samples per class, 1 or more"
            )
        coreset = Coreset.from_json(read_json(path, "coreset"))
        return build_from_coreset(coreset, inputs.ipc, view, device)

    def take_artifact() -> TrainingSet:
        synthetic = read_artifact(path).synthetic
        refuse_other_data(synthetic, real, path.name)
        return build_from_artifact(synthetic, student, path.name, real, device)

    readers = {
        "": lambda: build_from_shards(view, device),
        ".json": take_coreset,
        ".h5": take_artifact,
    }
    suffix = "" if path.is_dir() else path.suffix
    if suffix not in readers or not path.exists():
        raise SourceError(
            f"{path} is not a training set; "
            "expected a folder of shards, a ranking (.json) or an artifact (.h5)"
        )
    return readers[suffix]()
