"""The splits as a student reads them, and the teachers' vectors of its training instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import CellError
from pipeline.core.files import digest_of
from pipeline.core.plugins import pick
from pipeline.core.records import Normalisation, RealSet
from pipeline.kd import probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.kd.probes import LinearProbe
    from pipeline.kd.settings import StudentSettings
    from pipeline.kd.teacher_features import TeacherFeatures
    from pipeline.kd.training_sets import TrainingSet
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class KDData:
    """The data that every method is given alike.

    Args:
        name: the training set's name in tables.
        instances: training instances of the student's modality.
        modality: the student's.
        teachers: modality -> vectors float32 [N, D], one per instance.
        probes: modality -> a linear probe fitted on those.
        val: the validation split as the student reads it.
        test: the test split as the student reads it.
        gallery: the whole training split, which test clips are looked up in.
        tables: the teachers' vectors of all splits.
        left_out: split -> rows without a vector.
        digest: of all of this.
    """

    name: str
    instances: Instances
    modality: str
    teachers: Mapping[str, Tensor]
    probes: Mapping[str, LinearProbe]
    val: RealSet
    test: RealSet
    gallery: RealSet
    tables: TeacherFeatures
    left_out: Mapping[str, int]
    digest: str


def build_data(
    train: TrainingSet,
    views: Mapping[str, RealSet],
    tables: TeacherFeatures,
    teachers: Sequence[str],
    left_out: Mapping[str, int],
) -> KDData:
    """Leave out instances that lack a teacher's vector, and fit a linear probe per teacher.

    Args:
        train: the training set.
        views: split -> the split as the student reads it, see `select_view`.
        tables: the teachers' vectors.
        teachers: their modalities.
        left_out: split -> rows that the student's view leaves out.

    Raises:
        CellError: a class has no instance left, or there is one class only.
        StoreError: there are no vectors of a teacher.
    """
    selected = {m: tables.select_vectors("train", m, train.keys) for m in teachers}
    complete = torch.stack([present for _, present in selected.values()]).all(0)
    index, classes = complete.nonzero().flatten(), train.instances.classes
    _refuse_empty_classes(train, views["train"].classes, index, teachers)
    instances = train.instances.select(index, classes)
    vectors = {m: rows[index] for m, (rows, _) in selected.items()}
    view_digests = [[len(view), view.digest] for view in views.values()]
    return KDData(
        name=train.name,
        instances=instances,
        modality=next(iter(instances.shapes)),
        teachers=vectors,
        probes=_fit_probes(vectors, instances),
        val=views["val"],
        test=views["test"],
        gallery=views["train"],
        tables=tables,
        left_out={**left_out, "training rows": len(complete) - len(index)},
        digest=digest_of([train.digest, tables.digests, list(teachers), *view_digests]),
    )


def _fit_probes(vectors: Mapping[str, Tensor], instances: Instances) -> dict[str, LinearProbe]:
    label, classes = instances.label, instances.classes
    return {m: probes.fit_linear_probe(rows, label, classes) for m, rows in vectors.items()}


def _refuse_empty_classes(
    train: TrainingSet, names: Sequence[str], index: Tensor, teachers: Sequence[str]
) -> None:
    label, classes = train.instances.label, train.instances.classes
    counts = label[index].bincount(minlength=classes)
    if classes < 2:
        raise CellError(
            "the training set holds one class; expected two or more, which a student can tell apart"
        )
    if not counts.all():
        raise CellError(
            f"{len(label) - len(index)} of {len(label)} training rows have no vector of "
            f"{', '.join(teachers)}, which leaves none of class {names[int(counts.argmin())]!r}; "
            "extract vectors of more samples"
        )


def select_view(
    student: StudentSettings, split: str, real: RealSet, tables: TeacherFeatures
) -> RealSet:
    """Return a split as a student reads it: one modality of its samples, or its stored vectors.

    Args:
        student: the student's settings.
        split: its name.
        real: the split's samples.
        tables: the feature tables; samples without a vector are left out.

    Raises:
        StoreError: the student reads vectors, and the split has none.
    """
    view: RealSet = pick(_VIEWS, student.reads, "view")(student.modality, split, real, tables)
    return view


def _view_samples(modality: str, split: str, real: RealSet, tables: TeacherFeatures) -> RealSet:
    return replace(
        real,
        rows={modality: pick(real.rows, modality, "modality")},
        normalisation={modality: real.normalisation[modality]},
    )


def _view_vectors(modality: str, split: str, real: RealSet, tables: TeacherFeatures) -> RealSet:
    """Return vectors as rows [N, 1, 1, D], normalised by one mean and one deviation."""
    rows, present = tables.select_vectors(split, modality, real.keys)
    index = present.nonzero().flatten()
    vectors = rows[index]
    normalisation = Normalisation(
        scale=1.0,
        mean=(vectors.mean().item(),),
        std=(max(vectors.std().item(), 1e-12),),
        fill=0.0,
    )
    return replace(
        real,
        rows={modality: vectors[:, None, None]},
        label=real.label[index],
        keys=tuple(real.keys[row] for row in index),
        clips=tuple(real.clips[row] for row in index),
        normalisation={modality: normalisation},
    )


_VIEWS: Mapping[str, Callable[[str, str, RealSet, TeacherFeatures], RealSet]] = {
    "samples": _view_samples,
    "vectors": _view_vectors,
}
