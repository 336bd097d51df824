"""Your own vectors from files: .npy beside a list of ids, or .h5.

Nothing is computed, and nothing is unpickled. An id is a sample's key, `<clip>_<second:04d>`, or a
clip's id, whose vector goes to every second of the clip; a file has one kind or the other. Ids that
the shards do not have are ignored. An .h5 may be a table that `avdistill extract` wrote, so
encoders of different modalities can be joined in one table; it must be of the same shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core import hdf5
from pipeline.core.errors import SourceError
from pipeline.core.files import digest_of, file_digest
from pipeline.core.params import Files
from pipeline.core.records import Features, join_names
from pipeline.features import store
from pipeline.features.extractors._batches import build_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Files of vectors, which are read, checked and put in the samples' order.

    Args:
        vectors: modality -> file. `x.npy` is float [N, D] beside `x.ids.txt`, an id per line;
            `x.h5` has a dataset `id` or `key`, and one float [N, D] of the modality's name.
        exclude_missing: leave out samples without a vector in every file, instead of refusing.
        sentences: file of text vectors, in the form of `vectors`; an id is a whole prompt.
        spaces: modality, or `text` -> name of the space of its vectors; equal names mean one
            encoder.
    """

    vectors: Files
    exclude_missing: bool
    sentences: str | None
    spaces: dict[str, str]

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        cache: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """Read one float32 [N, D] per file; see `FeatureExtractor.embed`.

        Raises:
            SourceError: a file is not as described, or lacks samples.
        """
        tables = {
            modality: _read_table(Path(name), modality, real)
            for modality, name in sorted(self.vectors.items())
        }
        if not self.exclude_missing:
            for table in tables.values():
                table.refuse_missing(real)
        kept = np.all([table.positions >= 0 for table in tables.values()], axis=0)
        _refuse_empty_classes(kept, real)
        report(int(kept.sum()), len(real))
        digest = digest_of({modality: table.digests for modality, table in tables.items()})
        return Features(
            keys=tuple(np.array(real.keys)[kept].tolist()),
            label=real.label.numpy()[kept],
            vectors={modality: table.read_rows(kept) for modality, table in tables.items()},
            classes=real.classes,
            origin=build_origin(real, "external", self, digest),
        )

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Read the sentences' vectors from the file `sentences`; the digest is of the file.

        Raises:
            SourceError: the file is not as described, or lacks sentences.
        """
        if self.sentences is None:
            raise SourceError(
                "extract.external.sentences is null; name the file of the prompts' vectors there"
            )
        path = Path(self.sentences)
        ids, vectors = _read_vectors(path, "text", "extract.external.sentences")
        position = {name: number for number, name in enumerate(ids)}
        missing = [sentence for sentence in sentences if sentence not in position]
        if missing:
            raise SourceError(
                f"{path} has no vector for {len(missing)} of {len(sentences)} prompts, "
                f"{_format_names(missing)}; "
                "an id is a whole sentence: add these, or change extract-text.templates"
            )
        positions = np.array([position[sentence] for sentence in sentences])
        rows = _take_finite(path, ids, vectors, positions, "repair them")
        return rows, digest_of(_digests(path))


@dataclass(frozen=True, kw_only=True)
class _ExternalTable:
    """One file of vectors, and the position of each sample's vector in it.

    Args:
        path: the file.
        ids: n ids.
        vectors: float [n, D].
        positions: int64 [N], -1 for samples without a vector.
    """

    path: Path
    ids: Sequence[str]
    vectors: np.ndarray
    positions: np.ndarray

    @property
    def digests(self) -> list[str]:
        return _digests(self.path)

    def read_rows(self, kept: np.ndarray) -> np.ndarray:
        """Return the kept samples' vectors, float32; refuse numbers that float32 cannot hold."""
        remedy = "repair them, or leave them out and set extract.external.exclude_missing to true"
        return _take_finite(self.path, self.ids, self.vectors, self.positions[kept], remedy)

    def refuse_missing(self, real: RealSet) -> None:
        missing = np.array(real.keys)[self.positions < 0]
        if len(missing):
            raise SourceError(
                f"{self.path} has no vector for {len(missing)} of {len(real)} samples, "
                f"{_format_names(missing)}; add them by sample key or clip id, "
                "or set extract.external.exclude_missing to true"
            )


def _read_table(path: Path, modality: str, real: RealSet) -> _ExternalTable:
    ids, vectors = _read_vectors(path, modality, f"extract.external.vectors.{modality}", real)
    positions = _find_positions(ids, real)
    return _ExternalTable(path=path, ids=ids, vectors=vectors, positions=positions)


def _read_vectors(
    path: Path, modality: str, key: str, real: RealSet | None = None
) -> tuple[Sequence[str], np.ndarray]:
    """Read a file's n ids, and its vectors float [n, D].

    Args:
        path: .npy or .h5.
        modality: of the vectors, or `text`.
        key: of params.yaml, names the file in messages.
        real: the set that a table of `avdistill extract` must be of.
    """
    readers = {".npy": _read_npy, ".h5": _read_h5}
    if path.suffix not in readers:
        raise SourceError(f"{path} is no file of vectors; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise SourceError(f"{path} does not exist; {key} names it")
    ids, vectors = readers[path.suffix](path, modality, real)
    if vectors.dtype.kind != "f" or vectors.ndim != 2:
        raise SourceError(
            f"{path} holds {vectors.dtype} {list(vectors.shape)} for {modality}; "
            "expected floats [N, D], a row per id"
        )
    if len(ids) != len(vectors):
        raise SourceError(
            f"{path} has {len(vectors)} vectors and {len(ids)} ids; "
            "expected one id per vector, in the same order"
        )
    names, counts = np.unique(np.array(ids, dtype=str), return_counts=True)
    duplicates = names[counts > 1]
    if len(duplicates):
        raise SourceError(
            f"{path} has {len(duplicates)} ids more than once, {_format_names(duplicates)}; "
            "keep one vector of each"
        )
    return ids, vectors


def _read_npy(path: Path, modality: str, real: RealSet | None) -> tuple[Sequence[str], np.ndarray]:
    sidecar = _ids_of(path)
    try:
        ids = sidecar.read_text(encoding="utf-8").splitlines()
        return [name.strip() for name in ids], np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise SourceError(
            f"{sidecar} does not exist; write the ids of {path.name} there, one per line"
        ) from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path} and {sidecar.name} cannot be read ({error}); "
            "expected numpy.save of floats, and text"
        ) from error


def _read_h5(path: Path, modality: str, real: RealSet | None) -> tuple[Sequence[str], np.ndarray]:
    columns, attributes = hdf5.read_columns(path)
    if real is not None and attributes.get("format") == store.FORMAT:
        store.read_features(path, shards=real.digest, preprocessing=real.preprocessing)
    ids = columns.get("id", columns.get("key"))
    if ids is None or modality not in columns:
        raise SourceError(
            f"{path} holds {', '.join(columns) or 'nothing'}; "
            f"expected `id` or `key`, and {modality!r}"
        )
    if ids.dtype.kind != "U" or ids.ndim != 1:
        raise SourceError(
            f"{path} has ids {ids.dtype} {list(ids.shape)}; "
            "expected a list of text, sample keys or clip ids"
        )
    return ids.tolist(), columns[modality]


def _take_finite(
    path: Path, ids: Sequence[str], vectors: np.ndarray, positions: np.ndarray, remedy: str
) -> np.ndarray:
    """Return the vectors at some positions, float32; refuse NaN and infinite numbers."""
    with np.errstate(over="ignore"):
        rows = np.asarray(vectors[positions], dtype=np.float32)
    wrong = positions[~np.isfinite(rows).all(axis=1)]
    if len(wrong):
        names = _format_names([ids[position] for position in wrong])
        raise SourceError(
            f"{path} has NaN or infinite numbers in {len(wrong)} vectors, {names}; {remedy}"
        )
    return rows


def _digests(path: Path) -> list[str]:
    return [file_digest(path), *([file_digest(_ids_of(path))] if path.suffix == ".npy" else [])]


def _ids_of(path: Path) -> Path:
    return path.with_suffix(".ids.txt")


def _find_positions(ids: Sequence[str], real: RealSet) -> np.ndarray:
    """Return the position of each sample's vector, int64 [N]; -1 where there is none.

    Samples are looked up by key and by clip, and the way that finds more is taken.
    """
    position = {name: number for number, name in enumerate(ids)}
    by_key, by_clip = (
        np.array([position.get(name, -1) for name in names]) for names in (real.keys, real.clips)
    )
    return by_key if (by_key >= 0).sum() >= (by_clip >= 0).sum() else by_clip


def _refuse_empty_classes(kept: np.ndarray, real: RealSet) -> None:
    counts = np.bincount(real.label.numpy()[kept], minlength=len(real.classes))
    empty = np.array(real.classes)[counts == 0]
    if len(empty):
        raise SourceError(
            f"{len(empty)} classes have no sample with a vector in every file, "
            f"{join_names(empty.tolist(), 3)}; add some for each"
        )


def _format_names(names: Sequence[str] | np.ndarray) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
