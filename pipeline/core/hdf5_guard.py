"""Limits for HDF5 files, checked before values are read.

A hostile file may try to use up memory or time, or to make HDF5 open other files. Nothing here
follows a link, reads a value, or allocates as much as a file declares. HDF5 itself may still crash
on damaged structures; files from others belong into a process of their own.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t, h5z

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 2**20
# Bytes of a file besides its rows: attributes, and HDF5's own structures.
BESIDE = 16 * MIB
COLUMNS, ATTRIBUTES = 64, 256
NAME = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
# Bytes that are decompressed at once, of one attribute, and of all attributes.
CHUNK, TEXT, TEXTS = 64 * MIB, 16 * MIB, 64 * MIB
# Rows may have RATIO times the bytes that are stored, small ones any number; gzip reaches 1032.
RATIO, SMALL = 128, 64 * MIB
# HDF5 allows 32 dimensions; samples have up to five.
RANK = 8
NUMBERS = (h5t.INTEGER, h5t.FLOAT)
FILTERS = (h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_LZF)


def list_columns(root: h5g.GroupID, size: int, *, ours: bool) -> list[str]:
    """List the datasets in the root of a file, sorted, if all of them can be read safely.

    Args:
        root: the open file's root.
        size: bytes of the file.
        ours: text must have a fixed length, as `write_table` writes it.

    Raises:
        ValueError: the root holds something else.
    """
    if (count := root.get_num_objs()) > COLUMNS:
        raise ValueError(f"it holds {count} entries, expected {COLUMNS} at most")
    stored = {name: _measure_dataset(root, name, ours) for name in _list_names(root)}
    if (beside := size - sum(stored.values())) > BESIDE:
        raise ValueError(
            f"{beside // MIB} of its {size // MIB} MiB are not rows, "
            f"expected {BESIDE // MIB} at most"
        )
    return sorted(stored)


def list_attributes(root: h5g.GroupID) -> Iterator[str]:
    """Yield the root's attributes that are one number or one text; others are not read.

    Args:
        root: the open file's root.

    Raises:
        ValueError: there are too many, or they are too large.
    """
    count, held = h5a.get_num_attrs(root), 0
    if count > ATTRIBUTES:
        raise ValueError(f"it holds {count} attributes, expected {ATTRIBUTES} at most")
    for number in range(count):
        attribute = h5a.open(root, index=number)
        kind = attribute.get_type()
        if attribute.get_space().get_simple_extent_type() != h5s.SCALAR or kind.get_class() not in (
            *NUMBERS,
            h5t.STRING,
        ):
            continue
        held += kind.get_size()
        if kind.get_size() > TEXT or held > TEXTS:
            raise ValueError(
                f"its attributes hold more than {TEXTS // MIB} MiB, "
                f"or one of them more than {TEXT // MIB}"
            )
        yield attribute.name.decode()


def _list_names(root: h5g.GroupID) -> Iterator[str]:
    for raw in root:
        name = raw.decode("utf-8", "replace")
        if not NAME.fullmatch(name):
            raise ValueError(
                f"it holds an entry named {name[:80]!r}, expected letters, digits, _, . and -"
            )
        if root.links.get_info(raw).type != h5l.TYPE_HARD:
            raise ValueError(f"{name} is a link to elsewhere, expected rows")
        if h5o.get_info(root, raw).type != h5o.TYPE_DATASET:
            raise ValueError(f"{name} is no dataset")
        yield name


def _measure_dataset(root: h5g.GroupID, name: str, ours: bool) -> int:
    """Return the stored bytes of a dataset, if it is safe to read.

    It must hold numbers or text, lie in this file, and not declare far more than it stores.
    """
    dataset = h5d.open(root, name.encode())
    kind, space, made = dataset.get_type(), dataset.get_space(), dataset.get_create_plist()
    if kind.get_class() not in (*NUMBERS, h5t.STRING):
        raise ValueError(f"{name} holds neither numbers nor text")
    if kind.get_class() == h5t.STRING and kind.is_variable_str() and ours:
        raise ValueError(f"{name} is text of variable length, expected one length")
    if made.get_layout() == h5d.VIRTUAL or made.get_external_count():
        raise ValueError(f"{name} lies in other files")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    if odd := [code for code in filters if code not in FILTERS]:
        raise ValueError(
            f"{name} is packed by filter {odd[0]}, expected gzip, shuffle, fletcher32 or lzf; "
            "pack it with gzip"
        )
    if (
        space.get_simple_extent_type() != h5s.SIMPLE
        or not 0 < space.get_simple_extent_ndims() <= RANK
    ):
        raise ValueError(f"{name} has no rows, or more than {RANK} dimensions")
    _refuse_huge(
        name,
        made.get_chunk() if made.get_layout() == h5d.CHUNKED else (),
        kind.get_size(),
        "a chunk",
        CHUNK,
    )
    stored: int = dataset.get_storage_size()
    _refuse_huge(
        name,
        space.get_simple_extent_dims(),
        kind.get_size(),
        f"{stored} stored bytes",
        max(SMALL, RATIO * stored),
    )
    return stored


def _refuse_huge(name: str, shape: tuple[int, ...], each: int, of: str, most: int) -> None:
    if math.prod(shape) * each > most:
        raise ValueError(
            f"{name} declares {list(shape)} values of {each} bytes for {of}, "
            f"expected {most // MIB} MiB at most"
        )
