"""Door to h5py: rows as datasets, everything else as root attributes; written atomically, checked by a content digest.

The digest covers names, types, shapes and values of the datasets and the attributes in canonical JSON, so it is the same whatever
the compression; attributes named in `APART` are outside of it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pipeline.core.errors import TableError
from pipeline.core.files import create_file
from pipeline.core.hdf5_guard import attributes_of, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DIGEST = "content_digest"
# Said about a table after it was made; they do not define it.
APART = (DIGEST, "scores", "evaluation", "package_version")


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """What a column is: numpy's name of its type, or text; its shape; the bytes of all its values."""

    name: str
    shape: tuple[int, ...]
    nbytes: int


def write_table(
    path: Path, columns: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> str:
    """Write columns of one length and attributes (text, numbers; lists and mappings become JSON text); return the digest.

    gzip, shuffle and fletcher32 everywhere, no clock: the same table gives the same bytes.
    """
    assert len({len(column) for column in columns.values()}) == 1, (
        "columns of one table have one length"
    )
    plain = {name: _encode_attribute(value) for name, value in attributes.items()}
    digest = _digest(columns, plain)
    with create_file(path) as part:
        part.write_bytes(_build_image(columns, {**plain, DIGEST: digest}))
    return digest


def _build_image(columns: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> bytes:
    """The file's bytes. HDF5 makes them in memory, for where a disk is full it would take the process down on closing the file."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        for name, column in sorted(columns.items()):
            file.create_dataset(
                name, data=_encode_column(column), compression="gzip", shuffle=True, fletcher32=True
            )
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def read_table(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns and attributes as they were written; TableError if the file is missing, damaged or changed since."""
    columns, attributes = _read(path, ours=True)
    if DIGEST not in attributes:
        raise TableError(f"{path} carries no {DIGEST}; it was not written by avdistill")
    if _digest(columns, attributes) != attributes[DIGEST]:
        raise TableError(
            f"{path} was changed since it was written: its content no longer has the digest {attributes[DIGEST][:12]}"
        )
    return columns, attributes


def read_columns(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns and attributes of anybody's HDF5 file of datasets; TableError if it is missing, damaged or none."""
    return _read(path, ours=False)


def read_attributes(path: Path) -> tuple[dict[str, ColumnType], dict[str, Any]]:
    """What each column is, and the attributes; no row is read and no digest looked at; TableError as `read_table`."""
    with _open(path) as file:
        names = columns_of(file["/"].id, path.stat().st_size, ours=True)
        kinds = {
            name: ColumnType(
                name=_kind_of(file[name].dtype), shape=file[name].shape, nbytes=file[name].nbytes
            )
            for name in names
        }
        return kinds, {
            name: _decode_attribute(file.attrs[name]) for name in attributes_of(file["/"].id)
        }


def _read(path: Path, *, ours: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with _open(path) as file:
        names = columns_of(file["/"].id, path.stat().st_size, ours=ours)
        attributes = {
            name: _decode_attribute(file.attrs[name]) for name in attributes_of(file["/"].id)
        }
        return {name: _read_column(file[name]) for name in names}, attributes


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """The open file; whatever HDF5 has against it, or is raised inside, is one TableError."""
    if not path.is_file():
        raise TableError(
            f"{path} {'is a folder, expected a file' if path.is_dir() else 'does not exist'}"
        )
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (
        OSError,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,
        OverflowError,
        MemoryError,
    ) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise TableError(
            f"{path} is no HDF5 file of datasets, or is damaged ({told}); write or fetch it again"
        ) from error


def _encode_column(column: np.ndarray) -> np.ndarray:
    """Text as UTF-8 of one length, which filters take, unlike text of variable length; numbers as they are."""
    if column.dtype.kind != "U":
        return column
    text = np.char.encode(column, "utf-8")
    return text.astype(h5py.string_dtype("utf-8", max(text.dtype.itemsize, 1)))


def _read_column(dataset: h5py.Dataset) -> np.ndarray:
    return (
        np.asarray(dataset.asstr()[()], dtype=str)
        if _kind_of(dataset.dtype) == "text"
        else np.asarray(dataset[()])
    )


def _kind_of(dtype: np.dtype) -> str:
    """numpy's name of a type, or text."""
    return "text" if h5py.check_string_dtype(dtype) or dtype.kind == "U" else dtype.str


def _encode_attribute(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _decode_attribute(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _digest(columns: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> str:
    """SHA-256 over each column's name, type, shape and bytes in C order, then the attributes that define the table."""
    digest = hashlib.sha256()
    for name, column in sorted(columns.items()):
        kind = _kind_of(column.dtype)
        digest.update(json.dumps([name, kind, list(column.shape)]).encode())
        digest.update(
            json.dumps(column.tolist()).encode()
            if kind == "text"
            else np.ascontiguousarray(column).data
        )
    defining = {name: value for name, value in attributes.items() if name not in APART}
    digest.update(json.dumps(defining, sort_keys=True).encode())
    return digest.hexdigest()
