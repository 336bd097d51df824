"""Your own vectors, from files: .npy beside a list of ids, or .h5; nothing is computed and nothing is unpickled.

An id is a sample's key, `<clip>_<second:04d>`, or a clip's id, whose vector then goes to each of the clip's seconds; a file holds
one kind or the other. Ids that the shards do not have are passed over. An .h5 may be a table that `avdistill extract` wrote, so
that encoders of different modalities join in one table; it must be of the same shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core import hdf5 as tables
from pipeline.core.errors import SourceError
from pipeline.core.files import digest_of, file_digest
from pipeline.core.params import Files
from pipeline.core.records import Features
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
    """Read, check, and put in the samples' order.

    Args:
        vectors: modality -> file. `x.npy` is float [N, D] beside `x.ids.txt`, an id per line; `x.h5` has a dataset `id` or `key`
            and one float [N, D] of the modality's name.
        exclude_missing: leave out samples that a file has no vector for, instead of refusing.
        sentences: file of text vectors, as one of `vectors`; an id is a prompt, the sentence as it was embedded.
        spaces: modality, or `text` -> what the space is called that its vectors lie in; equal names are one encoder's.
    """

    vectors: Files
    exclude_missing: bool
    sentences: str | None
    spaces: dict[str, str]

    def embed(
        self,
        real: RealSet,
        networks: Mapping[str, NetworkPlugin],
        parts: PartialResults,
        device: torch.device,
        report: Callable[..., None],
    ) -> Features:
        """One float32 [N, D] per file; SourceError for a file that is not as described, or lacks samples."""
        given = {
            modality: _read(Path(name), modality, real)
            for modality, name in sorted(self.vectors.items())
        }
        if not self.exclude_missing:
            for own in given.values():
                own.refuse_missing(real)
        kept = np.all([own.places >= 0 for own in given.values()], axis=0)
        _refuse_empty_classes(kept, real)
        report(int(kept.sum()), len(real))
        return Features(
            keys=tuple(np.array(real.keys)[kept].tolist()),
            label=real.label.numpy()[kept],
            vectors={modality: own.read_rows(kept) for modality, own in given.items()},
            classes=real.classes,
            origin=build_origin(
                real,
                "external",
                self,
                digest_of({modality: own.digests for modality, own in given.items()}),
            ),
        )

    def embed_texts(self, sentences: Sequence[str], device: torch.device) -> tuple[np.ndarray, str]:
        """Sentences -> float32 [n, D] from the file `sentences`, and its digest; SourceError as `embed`."""
        if self.sentences is None:
            raise SourceError(
                "extract.external.sentences is null; name the file of the prompts' vectors there"
            )
        path = Path(self.sentences)
        ids, vectors = _read_vectors(path, "text", "extract.external.sentences")
        row = {name: number for number, name in enumerate(ids)}
        missing = [sentence for sentence in sentences if sentence not in row]
        if missing:
            lacks = f"{path} has no vector for {len(missing)} of {len(sentences)} prompts, {_format_names(missing)}"
            raise SourceError(
                f"{lacks}; an id is a whole sentence: add these, or change extract-text.templates"
            )
        rows = _take_finite(
            path, ids, vectors, np.array([row[sentence] for sentence in sentences]), "repair them"
        )
        return rows, digest_of(_digests(path))


@dataclass(frozen=True, kw_only=True)
class _ExternalTable:
    """One file's ids and float [n, D], and the row of each sample's vector: int64 [N], -1 where there is none."""

    path: Path
    ids: Sequence[str]
    vectors: np.ndarray
    places: np.ndarray

    @property
    def digests(self) -> list[str]:
        return _digests(self.path)

    def read_rows(self, kept: np.ndarray) -> np.ndarray:
        """float32 rows of those samples; SourceError for numbers that are none, or too large for the type."""
        remedy = "repair them, or leave them out and set extract.external.exclude_missing to true"
        return _take_finite(self.path, self.ids, self.vectors, self.places[kept], remedy)

    def refuse_missing(self, real: RealSet) -> None:
        missing = np.array(real.keys)[self.places < 0]
        if len(missing):
            lacks = f"{self.path} has no vector for {len(missing)} of {len(real)} samples, {_format_names(missing)}"
            raise SourceError(
                f"{lacks}; add them by sample key or clip id, or set extract.external.exclude_missing to true"
            )


def _read(path: Path, modality: str, real: RealSet) -> _ExternalTable:
    ids, vectors = _read_vectors(path, modality, f"extract.external.vectors.{modality}", real)
    return _ExternalTable(path=path, ids=ids, vectors=vectors, places=_find_rows(ids, real))


def _read_vectors(
    path: Path, modality: str, key: str, real: RealSet | None = None
) -> tuple[Sequence[str], np.ndarray]:
    """A file's ids and float [n, D], one of each per row; `key` of the params file names it, a table of ours must be of `real`."""
    readers = {".npy": _read_npy, ".h5": _read_h5}
    if path.suffix not in readers:
        raise SourceError(f"{path} is no file of vectors; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise SourceError(f"{path} does not exist; {key} names it")
    ids, vectors = readers[path.suffix](path, modality, real)
    if vectors.dtype.kind != "f" or vectors.ndim != 2:
        found = f"{path} holds {vectors.dtype} {list(vectors.shape)} for {modality}"
        raise SourceError(f"{found}; expected floats [N, D], a row per id")
    if len(ids) != len(vectors):
        raise SourceError(
            f"{path} has {len(vectors)} vectors and {len(ids)} ids; expected one id per vector, in the same order"
        )
    names, counts = np.unique(np.array(ids, dtype=str), return_counts=True)
    if (counts > 1).any():
        raise SourceError(
            f"{path} has {(counts > 1).sum()} ids more than once, {_format_names(names[counts > 1])}; keep one vector of each"
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
            f"{path} and {sidecar.name} cannot be read ({error}); expected numpy.save of floats, and text"
        ) from error


def _read_h5(path: Path, modality: str, real: RealSet | None) -> tuple[Sequence[str], np.ndarray]:
    columns, attributes = tables.read_columns(path)
    if real is not None and attributes.get("format") == store.FORMAT:
        store.read_features(path, shards=real.digest, preprocessing=real.preprocessing)
    ids = columns.get("id", columns.get("key"))
    if ids is None or modality not in columns:
        raise SourceError(
            f"{path} holds {', '.join(columns) or 'nothing'}; expected `id` or `key`, and {modality!r}"
        )
    if ids.dtype.kind != "U" or ids.ndim != 1:
        raise SourceError(
            f"{path} has ids {ids.dtype} {list(ids.shape)}; expected a list of text, sample keys or clip ids"
        )
    return ids.tolist(), columns[modality]


def _take_finite(
    path: Path, ids: Sequence[str], vectors: np.ndarray, places: np.ndarray, remedy: str
) -> np.ndarray:
    with np.errstate(over="ignore"):
        rows = np.asarray(vectors[places], dtype=np.float32)
    wrong = places[~np.isfinite(rows).all(axis=1)]
    if len(wrong):
        found = f"{path} has NaN or infinite numbers in {len(wrong)} vectors, {_format_names([ids[place] for place in wrong])}"
        raise SourceError(f"{found}; {remedy}")
    return rows


def _digests(path: Path) -> list[str]:
    return [file_digest(path), *([file_digest(_ids_of(path))] if path.suffix == ".npy" else [])]


def _ids_of(path: Path) -> Path:
    return path.with_suffix(".ids.txt")


def _find_rows(ids: Sequence[str], real: RealSet) -> np.ndarray:
    """int64 [N]: the row of each sample's vector, by its key or by its clip, whichever finds more; -1 where there is none."""
    row = {name: number for number, name in enumerate(ids)}
    found = [np.array([row.get(name, -1) for name in names]) for names in (real.keys, real.clips)]
    return max(found, key=lambda place: int((place >= 0).sum()))


def _refuse_empty_classes(kept: np.ndarray, real: RealSet) -> None:
    empty = np.array(real.classes)[
        np.bincount(real.label.numpy()[kept], minlength=len(real.classes)) == 0
    ]
    if len(empty):
        raise SourceError(
            f"{len(empty)} classes have no sample with a vector in every file, {_format_names(empty)}; add some for each"
        )


def _format_names(names: Sequence[str] | np.ndarray) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
