"""Door to h5py: rows as datasets, all else as root attributes; written atomically, with a digest.

The content digest covers names, types, shapes and values of the datasets, and the attributes in
canonical JSON. It does not depend on the compression, nor on the attributes in `APART`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pipeline.core.errors import TableError
from pipeline.core.files import create_file, warn_of_no_locks
from pipeline.core.hdf5_guard import list_attributes, list_columns
from pipeline.core.paths import to_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath

DIGEST = "content_digest"
# Attributes that are added after a table was made; they do not define it.
APART = (DIGEST, "scores", "evaluation", "package_version")
# Parts of HDF5's messages: no lock was granted; a writer has marked the file.
UNLOCKED, IN_USE = "unable to lock file", "file is already open for write"
# Errors of h5py and HDF5 on damaged files.
FAILURES = (OSError, LookupError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError)
CUT_OFF = re.compile(r"truncated file: eof = (\d+), .*stored_eof = (\d+)")


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """The type and the size of a column.

    Args:
        name: numpy's name of its type, e.g. "<f4", or "text".
        shape: rows first.
        nbytes: bytes of all values, uncompressed.
    """

    name: str
    shape: tuple[int, ...]
    nbytes: int


def write_table(
    path: AnyPath, columns: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> str:
    """Write a table, atomically, and return its content digest.

    All datasets have gzip, shuffle and fletcher32, and no time stamp: the same table gives the same
    bytes.

    Args:
        path: the HDF5 file.
        columns: numbers or text, of one length.
        attributes: text and numbers; lists and mappings become JSON text.

    Raises:
        OutputError: the file cannot be written.
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
    """Return the file's bytes, made in memory: HDF5 crashes the process if the disk is full."""
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


def read_table(path: AnyPath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read columns and attributes, and check the content digest.

    Args:
        path: a file that `write_table` wrote.

    Raises:
        TableError: the file is missing, damaged, or changed since it was written.
    """
    columns, attributes = _read(to_path(path), ours=True)
    if DIGEST not in attributes:
        raise TableError(f"{path} carries no {DIGEST}; it was not written by avdistill")
    if _digest(columns, attributes) != attributes[DIGEST]:
        raise TableError(
            f"{path} was changed since it was written: "
            f"its content no longer has the digest {attributes[DIGEST][:12]}"
        )
    return columns, attributes


def read_columns(path: AnyPath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read columns and attributes of another program's file.

    Args:
        path: an HDF5 file of datasets.

    Raises:
        TableError: the file is missing, damaged, or holds something else.
    """
    return _read(to_path(path), ours=False)


def read_attributes(path: AnyPath) -> tuple[dict[str, ColumnType], dict[str, Any]]:
    """Read the types of the columns, and the attributes; no rows, and no check of the digest.

    Args:
        path: a file that `write_table` wrote.

    Raises:
        TableError: the file is missing or damaged.
    """
    path = to_path(path)
    with _open(path) as file:
        names = list_columns(file["/"].id, path.stat().st_size, ours=True)
        kinds = {
            name: ColumnType(
                name=_kind_of(file[name].dtype), shape=file[name].shape, nbytes=file[name].nbytes
            )
            for name in names
        }
        return kinds, _read_attributes(file)


def read_some_attributes(path: AnyPath, names: Collection[str]) -> dict[str, Any]:
    """Read a few attributes, whatever else the file holds.

    Args:
        path: an HDF5 file.
        names: of the attributes; those that are absent are left out.

    Raises:
        TableError: the file is missing, damaged, or its attributes are too large.
    """
    with _open(to_path(path)) as file:
        return _read_attributes(file, names)


def _read(path: Path, *, ours: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with _open(path) as file:
        names = list_columns(file["/"].id, path.stat().st_size, ours=ours)
        attributes = _read_attributes(file)
        return {name: _read_column(file[name]) for name in names}, attributes


def _read_attributes(file: h5py.File, names: Collection[str] | None = None) -> dict[str, Any]:
    held = [name for name in list_attributes(file["/"].id) if names is None or name in names]
    return {name: _decode_attribute(file.attrs[name]) for name in held}


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """Yield the open file; errors of HDF5 become TableErrors."""
    try:
        if not path.is_file():
            raise TableError(
                f"{path} {'is a folder, expected a file' if path.is_dir() else 'does not exist'}"
            )
        with _open_file(path) as file:
            yield file
    except FAILURES as error:
        raise TableError(_describe_failure(path, error)) from error


def _open_file(path: Path) -> h5py.File:
    """Open a file with a lock, or without one where the file system has none."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        # HDF5 itself goes on at ENOSYS alone.
        if UNLOCKED not in str(error) or error.errno == errno.EAGAIN:
            raise
        warn_of_no_locks(path)
        return h5py.File(path, "r", locking=False)


def _describe_failure(path: Path, error: Exception) -> str:
    """Return a sentence for an error of HDF5: the file is in use, unreadable, or damaged."""
    message = (str(error).splitlines() or [type(error).__name__])[0]
    number = getattr(error, "errno", None)
    if number == errno.EAGAIN and UNLOCKED in message:
        return f"{path} is open for writing in another process; wait for it, then run this again"
    if IN_USE in message:
        return (
            f"{path} is open for writing, or its writer was killed; wait for it, "
            f"or unmark it with `h5clear -s {path}`"
        )
    if number:
        return f"{path} cannot be read ({os.strerror(number)}); see that you may read it"
    if cut := CUT_OFF.search(message):
        message = f"it ends after {cut[1]} of {cut[2]} bytes"
    return f"{path} is no HDF5 file of datasets, or is damaged ({message}); write or fetch it again"


def _encode_column(column: np.ndarray) -> np.ndarray:
    """Return text as UTF-8 of one length: filters refuse text of variable length."""
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
    """Return numpy's name of a type, or "text"."""
    return "text" if h5py.check_string_dtype(dtype) or dtype.kind == "U" else dtype.str


def _encode_attribute(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _decode_attribute(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _digest(columns: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> str:
    """Return the SHA-256 of columns (name, type, shape, bytes in C order) and attributes."""
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
