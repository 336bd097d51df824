"""What students learn from: whole shards, a coreset or a distilled set, and whose teacher's vectors each instance gets."""

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
    """Training instances, the key of the sample that each one's teachers saw, what people call it, and a digest of all of it."""

    data: Instances
    keys: tuple[str, ...]
    name: str
    digest: str


def build_from_shards(real: RealSet, device: torch.device) -> TrainingSet:
    """Every sample of the training split."""
    return TrainingSet(
        data=training.wrap_real_set(real, device),
        keys=real.keys,
        name="whole",
        digest=digest_of([real.digest, real.keys]),
    )


def build_from_coreset(
    coreset: Coreset, ipc: int, real: RealSet, device: torch.device
) -> TrainingSet:
    """The best `ipc` samples of each class; CellError if the ranking is of other shards, or of samples that are not among these."""
    if coreset.shards != real.digest:
        told = f"the ranking by {coreset.selector} is of shards {shorten_digest(coreset.shards)}, these are {shorten_digest(real.digest)}"
        raise CellError(f"{told}; run `avdistill extract` and `coreset` again")
    place = {key: row for row, key in enumerate(real.keys)}
    keys = tuple(key for label in real.classes for key in pick(coreset.select(ipc), label, "class"))
    absent = [key for key in keys if key not in place]
    if absent:
        raise CellError(
            f"{len(absent)} of {len(keys)} chosen samples are not at hand, first {absent[0]}; extract vectors of them"
        )
    data = training.wrap_real_set(real, device).select(
        torch.tensor([place[key] for key in keys]), len(real.classes)
    )
    return TrainingSet(
        data=data,
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
    """The instances of one modality of a distilled set.

    What a teacher would make of a synthetic row is not known; its vector is that of the real sample which the piece was formed
    from, or started from: the row's `source_key` names one per piece.

    Raises:
        ArtifactError: rows name no sources, too few, or those of other shards.
    """
    if student.reads != "samples":
        raise ArtifactError(
            f"{name} holds samples, and the student reads {student.reads}; teach one that reads samples"
        )
    modality = student.modality
    made = str(synthetic.provenance.get("source_shards", ""))
    high, wide = pick(synthetic.formation, modality, "modality")
    own = high * wide
    keys = [row.split(" ") if row else [] for row in synthetic.source_key]
    short_rows = [row for row, names in enumerate(keys) if len(names) < own]
    if short_rows:
        told = f"{name} names {len(keys[short_rows[0]])} source samples for the {own} pieces of row {short_rows[0]}"
        raise ArtifactError(
            f"{told}; teachers' vectors come from those, so only sets that name them can be taught with one"
        )
    if made != real.digest:
        raise ArtifactError(
            f"{name} was made from shards {shorten_digest(made)}, the training split is {shorten_digest(real.digest)}; give those shards"
        )
    seen = replace(
        synthetic,
        rows={modality: synthetic.rows[modality]},
        formation={modality: (high, wide)},
        normalisation={modality: synthetic.normalisation[modality]},
        soft_label={m: values for m, values in synthetic.soft_label.items() if m == modality},
    )
    pieces = tuple(names[piece] for piece in range(own) for names in keys)
    content = str(synthetic.provenance.get("content_digest", ""))
    told = f"{synthetic.provenance.get('method', name)} ipc {synthetic.ipc}"
    return TrainingSet(
        data=training.decode_synthetic_set(seen, device),
        keys=pieces,
        name=told,
        digest=digest_of([content, modality]),
    )
