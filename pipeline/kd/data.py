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

    from pipeline.kd.probes import Probe
    from pipeline.kd.settings import Student
    from pipeline.kd.teacher_features import Tables
    from pipeline.kd.training_sets import Train
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Classroom:
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
    probes: Mapping[str, Probe]
    val: RealSet
    test: RealSet
    gallery: RealSet
    tables: Tables
    without: Mapping[str, int]
    digest: str


def enter(
    train: Train,
    views: Mapping[str, RealSet],
    tables: Tables,
    teachers: Sequence[str],
    without: Mapping[str, int],
) -> Classroom:
    """Leave out instances that some teacher has no vector for, and fit a linear probe per teacher on the rest.

    Args:
        views: split -> what the student sees of it, see `seen`; `without`: split -> rows that it does not, for want of a vector.

    Raises:
        CellError: a class has no instance left, or there is one class only.
        StoreError: there are no vectors of a teacher.
    """
    found = {m: tables.rows("train", m, train.keys) for m in teachers}
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
    data = train.data.at(index, classes)
    vectors = {m: rows[index] for m, (rows, _) in found.items()}
    return Classroom(
        name=train.name,
        data=data,
        modality=next(iter(data.shapes)),
        teachers=vectors,
        probes={m: probes.linear(rows, data.label, classes) for m, rows in vectors.items()},
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


def seen(student: Student, split: str, real: RealSet, tables: Tables) -> RealSet:
    """What a student sees of a split: one modality of its samples, or of its stored vectors, where there are some."""
    view: RealSet = pick(_VIEWS, student.reads, "view")(student.modality, split, real, tables)
    return view


def _samples(modality: str, split: str, real: RealSet, tables: Tables) -> RealSet:
    return replace(
        real,
        rows={modality: pick(real.rows, modality, "modality")},
        normalisation={modality: real.normalisation[modality]},
    )


def _vectors(modality: str, split: str, real: RealSet, tables: Tables) -> RealSet:
    """Vectors as rows of one channel and one line, [N, 1, 1, D], with one mean and one spread for all numbers."""
    rows, there = tables.rows(split, modality, real.keys)
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


_VIEWS: Mapping[str, Callable[[str, str, RealSet, Tables], RealSet]] = {
    "samples": _samples,
    "vectors": _vectors,
}
