"""Rows that stay in their shards and are read when they are needed."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pipeline.core.errors import ShardError
from pipeline.core.paths import to_path
from pipeline.core.records import RealSet
from pipeline.shards.layout import move_channels_first
from pipeline.shards.read import (
    build_real_set,
    check_shard,
    read_nonempty_index,
    refuse_not_finite,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.core.paths import AnyPath

# Rows that are read at once when all of them are asked for.
CHUNK = 256

# Where an array lies in a tar: first byte of its values, type, shape.
Location = tuple[int, np.dtype[Any], tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class MappedRows:
    """Rows of one modality that stay in their tars; only the rows that are asked for are in memory.

    Args:
        modality: for messages.
        tars: the files.
        positions: int64 [N, 2]: the tar of each row, and the byte at which its values begin.
        dtype: of the values on disk.
        stored_shape: of one row on disk.
        keys: one per row, for messages.
    """

    modality: str
    tars: Sequence[Path]
    positions: Tensor = field(repr=False)
    dtype: np.dtype[Any]
    stored_shape: tuple[int, ...]
    keys: Sequence[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def shape(self) -> torch.Size:
        """Shape of all rows, channels first."""
        row = np.broadcast_to(np.empty((), self.dtype), self.stored_shape)
        return torch.Size((len(self), *move_channels_first(row).shape))

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, if they were in memory."""
        return self.shape.numel() * self.dtype.itemsize

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        """Read rows.

        Args:
            index: of the rows.

        Raises:
            ShardError: a tar has changed since it was checked, or a value is not finite.
        """
        wanted = torch.arange(len(self))[index]
        values = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        array = np.empty(self.stored_shape, self.dtype)
        # In the order of the disk, so that each tar is opened once.
        order = sorted(
            zip(self.positions[wanted].tolist(), wanted.tolist(), range(len(wanted)), strict=True)
        )
        for tar, group in groupby(order, key=lambda item: item[0][0]):
            path = self.tars[tar]
            with path.open("rb", buffering=0) as stream:
                for (_, start), row, target in group:
                    stream.seek(start)
                    if stream.readinto(array.data) != array.nbytes:
                        raise ShardError(
                            f"{path} has become shorter while it was read; "
                            "run the same command again"
                        )
                    refuse_not_finite(array, self.modality, self.keys[row], path)
                    values[target] = move_channels_first(array)
        return torch.from_numpy(values)

    def to(self, device: torch.device, /) -> Tensor:
        """Return all rows on a device; besides them, CHUNK rows are in memory.

        Args:
            device: of the result.
        """
        dtype = torch.from_numpy(np.empty(0, self.dtype)).dtype
        whole = torch.empty(self.shape, dtype=dtype, device=device)
        for first in range(0, len(self), CHUNK):
            part = slice(first, first + CHUNK)
            whole[part] = self[part]
        return whole


def map_shards(folder: AnyPath) -> RealSet:
    """Open a split whose rows stay in their shards; otherwise it is as `read_shards` returns it.

    Each tar is checked by its digest. Keys, labels, and 16 bytes per row and modality are in
    memory.

    Args:
        folder: of one split.

    Raises:
        ShardError: the split has no sample, a tar was changed, or rows differ in shape or type.
    """
    folder = to_path(folder)
    index, _ = read_nonempty_index(folder)
    tars = [check_shard(folder, shard) for shard in index.shards]
    samples = [
        (number, *sample) for number, tar in enumerate(tars) for sample in _locate_samples(tar)
    ]
    keys = [key for _, key, _, _ in samples]
    rows = {}
    for modality in index.normalisation:
        forms = {locations[modality][1:] for _, _, _, locations in samples}
        if len(forms) > 1:
            raise ShardError(
                f"{folder} holds {modality} of several types and shapes, {forms}; "
                "run `avdistill decode` into an empty folder"
            )
        dtype, shape = forms.pop()
        positions = [(number, locations[modality][0]) for number, _, _, locations in samples]
        rows[modality] = MappedRows(
            modality=modality,
            tars=tars,
            positions=torch.tensor(positions),
            dtype=dtype,
            stored_shape=shape,
            keys=keys,
        )
    return build_real_set(index, rows, keys, [description for _, _, description, _ in samples])


def _locate_samples(path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Location]]]:
    """Yield (key, description, location by modality) of each sample of a tar."""
    with tarfile.open(path, "r:") as tar:
        for key, members in groupby(tar, key=lambda member: member.name.partition(".")[0]):
            description, locations = {}, {}
            for member in members:
                stream, ending = tar.extractfile(member), member.name.partition(".")[2]
                if stream is not None and ending == "json":
                    description = json.load(stream)
                elif stream is not None and ending.endswith(".npy"):
                    np.lib.format.read_magic(stream)
                    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
                    start = member.offset_data + stream.tell()
                    locations[ending.removesuffix(".npy")] = (start, dtype, shape)
            yield key, description, locations
