"""Feature tables of all splits; the vectors of one modality come from one encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import StoreError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.core.paths import list_folder, to_path
from pipeline.features.store import read_features

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import Features


@dataclass(frozen=True, kw_only=True)
class TeacherColumn:
    """The vectors of one modality and split.

    Args:
        path: the table.
        vectors: float32 [n, D].
        positions: sample key -> row.
        encoder: digest of the encoder.
    """

    path: Path
    vectors: Tensor
    positions: Mapping[str, int]
    encoder: str


@dataclass(frozen=True, kw_only=True)
class TeacherFeatures:
    """The teachers' vectors.

    Args:
        columns: (split, modality) -> vectors.
        digests: of the tables.
    """

    columns: Mapping[tuple[str, str], TeacherColumn]
    digests: tuple[str, ...]

    def has(self, split: str, modality: str) -> bool:
        """Tell whether there are vectors of a modality and split.

        Args:
            split: train, val or test.
            modality: of the vectors.
        """
        return (split, modality) in self.columns

    def select_vectors(
        self, split: str, modality: str, keys: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """Return the vector of each key [N, D], and whether it has one, bool [N].

        Args:
            split: train, val or test.
            modality: of the vectors.
            keys: of the samples, N of them.

        Raises:
            StoreError: there are no vectors of this modality and split.
        """
        if not self.has(split, modality):
            known = ", ".join(f"{m} of {s}" for s, m in sorted(self.columns)) or "none"
            raise StoreError(
                f"there are no {modality} vectors of the {split} split, only {known}; "
                "run `avdistill extract` on that split"
            )
        column = self.columns[split, modality]
        rows = torch.tensor([column.positions.get(key, -1) for key in keys], dtype=torch.long)
        return column.vectors[rows.clamp_min(0)], rows >= 0


def read_tables(path: AnyPath, splits: Mapping[str, str]) -> TeacherFeatures:
    """Read one feature table, or all tables of a folder.

    Args:
        path: a table (.h5) or a folder of them; the digest in each names its split.
        splits: split -> digest of its shards.

    Raises:
        StoreError: a table is of other shards or holds NaN, two tables hold the same vectors, or a
            modality has two encoders.
    """
    path = to_path(path)
    columns: dict[tuple[str, str], TeacherColumn] = {}
    digests = []
    for table in _list_tables(path):
        features, digest = read_features(table)
        digests.append(digest)
        split = _find_split(table, features, splits)
        for modality, column in _build_columns(table, features).items():
            if (split, modality) in columns:
                raise StoreError(
                    f"{columns[split, modality].path} and {table} both hold {modality} vectors of "
                    f"the {split} split; give one of them"
                )
            _refuse_other_encoder(modality, column, columns)
            columns[split, modality] = column
    return TeacherFeatures(columns=columns, digests=tuple(digests))


def _list_tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    tables = list_folder(path, "*.h5")
    if not tables:
        raise StoreError(
            f"{path} holds no .h5; expected feature tables as `avdistill extract` writes them"
        )
    return tables


def _find_split(path: Path, features: Features, splits: Mapping[str, str]) -> str:
    """Return the split whose shards the table was made from."""
    for name, digest in splits.items():
        if features.origin.shards == digest:
            return name
    known = ", ".join(f"{name} {shorten_digest(digest)}" for name, digest in splits.items())
    raise StoreError(
        f"{path} is of shards {shorten_digest(features.origin.shards)}, expected one of {known}; "
        "run `avdistill extract` again"
    )


def _build_columns(path: Path, features: Features) -> dict[str, TeacherColumn]:
    origin = features.origin
    encoder = digest_of([origin.extractor, origin.params, origin.weights, origin.preprocessing])
    positions = {key: row for row, key in enumerate(features.keys)}
    columns = {}
    for modality, vectors in features.vectors.items():
        rows = torch.from_numpy(vectors)
        wrong = (~rows.isfinite().all(1)).nonzero().flatten().tolist()
        if wrong:
            raise StoreError(
                f"{len(wrong)} of {len(rows)} {modality} vectors of {path} hold NaN or infinite "
                f"numbers, first {features.keys[wrong[0]]}; check the encoder that made them"
            )
        columns[modality] = TeacherColumn(
            path=path, vectors=rows, positions=positions, encoder=encoder
        )
    return columns


def _refuse_other_encoder(
    modality: str, column: TeacherColumn, others: Mapping[tuple[str, str], TeacherColumn]
) -> None:
    for (_, name), other in others.items():
        if name == modality and other.encoder != column.encoder:
            raise StoreError(
                f"{other.path} and {column.path} have {modality} vectors of different encoders, "
                f"{shorten_digest(other.encoder)} and {shorten_digest(column.encoder)}; "
                "extract every split with one encoder (convnet trains one per split)"
            )
