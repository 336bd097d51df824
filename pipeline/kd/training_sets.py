"""Training sets of students: whole shards, a coreset or a distilled set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pipeline.core.errors import ArtifactError, CellError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.core.plugins import pick
from pipeline.training import instances as training

if TYPE_CHECKING:
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.coresets.rankings import Coreset
    from pipeline.kd.settings import StudentSettings
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Training instances, and the samples whose teacher vectors they get.

    Args:
        instances: N training instances.
        keys: per instance, the key of the sample whose teacher vectors it gets.
        name: the set's name in tables.
        digest: of all of this.
    """

    instances: Instances
    keys: tuple[str, ...]
    name: str
    digest: str


def build_from_shards(real: RealSet, device: torch.device) -> TrainingSet:
    """Take every sample of the training split.

    Args:
        real: the split as the student reads it.
        device: where the rows go.
    """
    return TrainingSet(
        instances=training.wrap_real_set(real, device),
        keys=real.keys,
        name="whole",
        digest=digest_of([real.digest, real.keys]),
    )


def build_from_coreset(
    coreset: Coreset, ipc: int, real: RealSet, device: torch.device
) -> TrainingSet:
    """Take the best `ipc` samples of each class.

    Args:
        coreset: the ranking.
        ipc: samples per class.
        real: the training split as the student reads it.
        device: where the rows go.

    Raises:
        CellError: the ranking is of other shards, or names samples that the student cannot read.
    """
    if coreset.shards != real.digest:
        raise CellError(
            f"the ranking by {coreset.selector} is of shards {shorten_digest(coreset.shards)}, "
            f"these are {shorten_digest(real.digest)}; run `avdistill extract` and `coreset` again"
        )
    positions = {key: row for row, key in enumerate(real.keys)}
    keys = tuple(key for label in real.classes for key in pick(coreset.select(ipc), label, "class"))
    absent = [key for key in keys if key not in positions]
    if absent:
        raise CellError(
            f"{len(absent)} of {len(keys)} chosen samples have no vector, first {absent[0]}; "
            "extract vectors of them"
        )
    index = torch.tensor([positions[key] for key in keys])
    return TrainingSet(
        instances=training.wrap_real_set(real, device).select(index, len(real.classes)),
        keys=keys,
        name=f"{coreset.selector} ipc {ipc}",
        digest=digest_of([real.digest, keys]),
    )


def build_from_artifact(
    synthetic: SyntheticSet,
    student: StudentSettings,
    name: str,
    real: RealSet,
    device: torch.device,
) -> TrainingSet:
    """Take the instances of one modality of a distilled set.

    A teacher's vector of a synthetic row is unknown. Each piece gets the vector of the real sample
    that it was formed or started from, which `source_key` names.

    Args:
        synthetic: the set.
        student: the student's settings.
        name: of the artifact, for messages.
        real: the training split.
        device: where the rows go.

    Raises:
        ArtifactError: the student reads no samples, or rows name too few sources or other shards.
    """
    _refuse_vectors(student, name)
    modality = student.modality
    grid = pick(synthetic.formation, modality, "modality")
    keys = _name_pieces(synthetic, grid[0] * grid[1], name, real)
    view = replace(
        synthetic,
        rows={modality: synthetic.rows[modality]},
        formation={modality: grid},
        normalisation={modality: synthetic.normalisation[modality]},
        soft_label={m: values for m, values in synthetic.soft_label.items() if m == modality},
    )
    content = str(synthetic.provenance.get("content_digest", ""))
    return TrainingSet(
        instances=training.decode_synthetic_set(view, device),
        keys=keys,
        name=f"{synthetic.provenance.get('method', name)} ipc {synthetic.ipc}",
        digest=digest_of([content, modality]),
    )


def _refuse_vectors(student: StudentSettings, name: str) -> None:
    if student.reads != "samples":
        raise ArtifactError(
            f"{name} holds samples, and the student reads {student.reads}; "
            "train one that reads samples"
        )


def _name_pieces(synthetic: SyntheticSet, pieces: int, name: str, real: RealSet) -> tuple[str, ...]:
    """Return the source sample of each piece, in the order of the decoded instances."""
    shards = str(synthetic.provenance.get("source_shards", ""))
    keys = [row.split(" ") if row else [] for row in synthetic.source_key]
    short = [row for row, names in enumerate(keys) if len(names) < pieces]
    if short:
        raise ArtifactError(
            f"{name} names {len(keys[short[0]])} source samples for the {pieces} pieces of row "
            f"{short[0]}; teachers' vectors come from those, so only sets that name them "
            "can be taught with one"
        )
    if shards != real.digest:
        raise ArtifactError(
            f"{name} was made from shards {shorten_digest(shards)}, the training split is "
            f"{shorten_digest(real.digest)}; give those shards"
        )
    return tuple(names[piece] for piece in range(pieces) for names in keys)
