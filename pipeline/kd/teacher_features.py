"""Feature tables of a dataset's splits: whose vectors they hold, and that one modality is of one encoder throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import StoreError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.features.store import read_features

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Features


@dataclass(frozen=True, kw_only=True)
class TeacherColumn:
    """Vectors float32 [n, D] of one modality and split, the row of each key, and the digest of the encoder."""

    path: Path
    vectors: Tensor
    places: Mapping[str, int]
    encoder: str


@dataclass(frozen=True, kw_only=True)
class TeacherFeatures:
    """What the tables hold, by (split, modality); `digests` of the tables."""

    columns: Mapping[tuple[str, str], TeacherColumn]
    digests: tuple[str, ...]

    def has(self, split: str, modality: str) -> bool:
        return (split, modality) in self.columns

    def select_vectors(
        self, split: str, modality: str, keys: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """Of each key its vector, [N, D], and whether there is one, bool [N]; a StoreError if there are none at all."""
        if not self.has(split, modality):
            there = ", ".join(f"{m} of {s}" for s, m in sorted(self.columns)) or "none"
            raise StoreError(
                f"there are no {modality} vectors of the {split} split, only {there}; run `avdistill extract` on that split"
            )
        column = self.columns[split, modality]
        places = torch.tensor([column.places.get(key, -1) for key in keys], dtype=torch.long)
        return column.vectors[places.clamp_min(0)], places >= 0


def read_tables(place: Path, splits: Mapping[str, str]) -> TeacherFeatures:
    """Read one table, or all of a folder, each of the split whose shards it names.

    Args:
        splits: name -> digest of its shards.

    Raises:
        StoreError: a table is of other shards, holds NaN, holds what another one holds, or has another encoder for a modality.
    """
    columns: dict[tuple[str, str], TeacherColumn] = {}
    digests = []
    for path in _list_tables(place):
        features, digest = read_features(path)
        digests.append(digest)
        for modality, column in _build_columns(path, features).items():
            at = (_find_split(path, features, splits), modality)
            if at in columns:
                raise StoreError(
                    f"{columns[at].path} and {path} both hold {modality} vectors of the {at[0]} split; give one of them"
                )
            _refuse_other_encoder(modality, column, columns)
            columns[at] = column
    return TeacherFeatures(columns=columns, digests=tuple(digests))


def _list_tables(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(place.glob("*.h5"))
    if not found:
        raise StoreError(
            f"{place} holds no .h5; expected feature tables as `avdistill extract` writes them"
        )
    return found


def _find_split(path: Path, features: Features, splits: Mapping[str, str]) -> str:
    """The split whose shards the table was made from."""
    for name, digest in splits.items():
        if features.origin.shards == digest:
            return name
    known = ", ".join(f"{name} {shorten_digest(digest)}" for name, digest in splits.items())
    raise StoreError(
        f"{path} is of shards {shorten_digest(features.origin.shards)}, expected one of {known}; run `avdistill extract` again"
    )


def _build_columns(path: Path, features: Features) -> dict[str, TeacherColumn]:
    origin = features.origin
    encoder = digest_of([origin.extractor, origin.params, origin.weights, origin.preprocessing])
    places = {key: row for row, key in enumerate(features.keys)}
    found = {}
    for modality, vectors in features.vectors.items():
        rows = torch.from_numpy(vectors)
        wrong = (~rows.isfinite().all(1)).nonzero().flatten().tolist()
        if wrong:
            told = f"{len(wrong)} of {len(rows)} {modality} vectors of {path} hold NaN or infinite numbers"
            raise StoreError(
                f"{told}, first {features.keys[wrong[0]]}; look at the encoder that made them"
            )
        found[modality] = TeacherColumn(path=path, vectors=rows, places=places, encoder=encoder)
    return found


def _refuse_other_encoder(
    modality: str, column: TeacherColumn, others: Mapping[tuple[str, str], TeacherColumn]
) -> None:
    for (_, name), other in others.items():
        if name == modality and other.encoder != column.encoder:
            told = f"{other.path} and {column.path} have {modality} vectors of different encoders, {shorten_digest(other.encoder)} and "
            raise StoreError(
                f"{told}{shorten_digest(column.encoder)}; extract every split with one encoder (convnet trains one per split)"
            )
