"""Data that cannot be measured are refused before a student is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ArtifactError, ShardError

if TYPE_CHECKING:
    from pipeline.records import RealSet, SyntheticSet


def refuse_other_data(synthetic: SyntheticSet, real: RealSet, name: str) -> None:
    """An artifact of other classes or preprocessing than the shards, or with rows that are no numbers, is an ArtifactError."""
    if synthetic.classes != real.classes:
        raise ArtifactError(
            f"{name} holds the classes {_some(synthetic.classes)}, the shards {_some(real.classes)}; "
            "take the shards it was made from"
        )
    made = str(synthetic.provenance.get("preprocessing", ""))
    if made != real.preprocessing:
        raise ArtifactError(
            f"{name} was made from samples with preprocessing {made[:12]}, the shards have {real.preprocessing[:12]}; "
            "decode with the parameters that the artifact was made with"
        )
    for modality, rows in synthetic.rows.items():
        if not rows.isfinite().all():
            raise ArtifactError(f"{name} holds {modality} rows with NaN or infinite values; distil it again, with lower rates")


def refuse_absent_classes(real: RealSet, split: str) -> None:
    """A split without a window of some class is a ShardError: an accuracy over the other classes would not say so."""
    counts = real.label.bincount(minlength=len(real.classes)).tolist()
    absent = [name for name, count in zip(real.classes, counts, strict=True) if not count]
    if absent:
        raise ShardError(
            f"the {split} split holds no window of {_some(absent)} ({len(real.classes)} classes are in training); "
            "the ledger says why clips are missing; decode some, or ingest without the class"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
