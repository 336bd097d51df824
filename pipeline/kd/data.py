"""A student's view of all splits, and the teachers' vectors of what it learns from."""

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
    """What every method is given alike.

    Args:
        name: what people call the training set.
        data: its instances, of the student's modality; `teachers`: modality -> [N, D] beside them; `probes`: on those.
        gallery: the whole training split, which test clips are looked up in, whatever the students learned from.
        tables: for the teachers' vectors of other splits; `without`: split -> rows left out for want of a vector.
        digest: of all of this.
    """

    name: str
    data: Instances
    modality: str
    teachers: Mapping[str, Tensor]
    probes: Mapping[str, LinearProbe]
    val: RealSet
    test: RealSet
    gallery: RealSet
    tables: TeacherFeatures
    without: Mapping[str, int]
    digest: str


def build_data(
    train: TrainingSet,
    views: Mapping[str, RealSet],
    tables: TeacherFeatures,
    teachers: Sequence[str],
    without: Mapping[str, int],
) -> KDData:
    """Leave out instances that some teacher has no vector for, and fit a linear probe per teacher on the rest.

    Args:
        views: split -> what the student sees of it, see `seen`; `without`: split -> rows that it does not, for want of a vector.

    Raises:
        CellError: a class has no instance left, or there is one class only.
        StoreError: there are no vectors of a teacher.
    """
    found = {m: tables.select_vectors("train", m, train.keys) for m in teachers}
    there = torch.stack([own for _, own in found.values()]).all(0)
    index, classes = there.nonzero().flatten(), train.data.classes
    counts = train.data.label[index].bincount(minlength=classes)
    if classes < 2:
        raise CellError(
            "the training set holds one class; expected two or more, which a student can tell apart"
        )
    if not counts.all():
        name = views["train"].classes[int(counts.argmin())]
        told = f"{len(there) - len(index)} of {len(there)} training rows have no vector of {', '.join(teachers)}"
        raise CellError(
            f"{told}, which leaves none of class {name!r}; extract vectors of more samples"
        )
    data = train.data.select(index, classes)
    vectors = {m: rows[index] for m, (rows, _) in found.items()}
    return KDData(
        name=train.name,
        data=data,
        modality=next(iter(data.shapes)),
        teachers=vectors,
        probes={
            m: probes.fit_linear_probe(rows, data.label, classes) for m, rows in vectors.items()
        },
        val=views["val"],
        test=views["test"],
        gallery=views["train"],
        tables=tables,
        without={**without, "training rows": len(there) - len(index)},
        digest=digest_of(
            [
                train.digest,
                tables.digests,
                list(teachers),
                *([len(own), own.digest] for own in views.values()),
            ]
        ),
    )


def select_view(
    student: StudentSettings, split: str, real: RealSet, tables: TeacherFeatures
) -> RealSet:
    """What a student sees of a split: one modality of its samples, or of its stored vectors, where there are some."""
    view: RealSet = pick(_VIEWS, student.reads, "view")(student.modality, split, real, tables)
    return view


def _view_samples(modality: str, split: str, real: RealSet, tables: TeacherFeatures) -> RealSet:
    return replace(
        real,
        rows={modality: pick(real.rows, modality, "modality")},
        normalisation={modality: real.normalisation[modality]},
    )


def _view_vectors(modality: str, split: str, real: RealSet, tables: TeacherFeatures) -> RealSet:
    """Vectors as rows of one channel and one line, [N, 1, 1, D], with one mean and one spread for all numbers."""
    rows, there = tables.select_vectors(split, modality, real.keys)
    index = there.nonzero().flatten()
    own = rows[index]
    units = Normalisation(
        scale=1.0, mean=(own.mean().item(),), std=(max(own.std().item(), 1e-12),), fill=0.0
    )
    return replace(
        real,
        rows={modality: own[:, None, None]},
        label=real.label[index],
        keys=tuple(real.keys[row] for row in index),
        clips=tuple(real.clips[row] for row in index),
        normalisation={modality: units},
    )


_VIEWS: Mapping[str, Callable[[str, str, RealSet, TeacherFeatures], RealSet]] = {
    "samples": _view_samples,
    "vectors": _view_vectors,
}
