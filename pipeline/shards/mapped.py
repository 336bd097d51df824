"""TODO from pipeline/shards.py."""

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
from pipeline.core.records import RealSet
from pipeline.shards.layout import _move_channels_first, _refuse_not_finite
from pipeline.shards.read import _build_real_set, _check_shard, _read_nonempty_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Rows that are read at once when all of them are asked for.
CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class MappedRows:
    """Rows of one modality that stay in their tars and are read as they are taken: what is in memory is what was asked for.

    Args:
        tars: the files; `places` int64 [N, 2]: in which of them, and at which byte, each row's values begin.
        kind, stored: type and shape of one row on disk; `keys`: one per row, for messages.
    """

    modality: str
    tars: Sequence[Path]
    places: Tensor = field(repr=False)
    kind: np.dtype[Any]
    stored: tuple[int, ...]
    keys: Sequence[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def shape(self) -> torch.Size:
        """Of all rows, channels first."""
        return torch.Size(
            (
                len(self),
                *_move_channels_first(np.broadcast_to(np.empty((), self.kind), self.stored)).shape,
            )
        )

    @property
    def nbytes(self) -> int:
        """Of all rows, if they were in memory."""
        return self.shape.numel() * self.kind.itemsize

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        """Rows at an index; a ShardError if a tar is not any more what it was, or a value is no finite number."""
        wanted = torch.arange(len(self))[index]
        values = np.empty((len(wanted), *self.shape[1:]), self.kind)
        row = np.empty(self.stored, self.kind)
        # In the order of the disk, so that each tar is opened once.
        order = sorted(
            zip(self.places[wanted].tolist(), wanted.tolist(), range(len(wanted)), strict=True)
        )
        for tar, group in groupby(order, key=lambda one: one[0][0]):
            with self.tars[tar].open("rb", buffering=0) as stream:
                for (_, start), number, place in group:
                    stream.seek(start)
                    if stream.readinto(row.data) != row.nbytes:
                        raise ShardError(
                            f"{self.tars[tar]} has become shorter while it was read; run the same command again"
                        )
                    _refuse_not_finite(row, self.modality, self.keys[number], self.tars[tar])
                    values[place] = _move_channels_first(row)
        return torch.from_numpy(values)

    def to(self, device: torch.device, /) -> Tensor:
        """All rows, on the device; a part of them at a time is in memory besides."""
        parts = (slice(first, first + CHUNK) for first in range(0, len(self), CHUNK))
        whole = torch.empty(
            self.shape, dtype=torch.from_numpy(np.empty(0, self.kind)).dtype, device=device
        )
        for part in parts:
            whole[part] = self[part]
        return whole


def map_shards(folder: Path) -> RealSet:
    """A split whose rows stay in their shards, see `MappedRows`; otherwise what `read_shards` gives.

    Each tar is checked by its digest. In memory are keys, labels, and 16 bytes per row and modality.
    """
    index, _ = _read_nonempty_index(folder)
    tars = [_check_shard(folder, shard) for shard in index.shards]
    found = [
        (number, *sample) for number, tar in enumerate(tars) for sample in _locate_samples(tar)
    ]
    keys = [key for _, key, _, _ in found]
    rows = {}
    for modality in index.normalisation:
        forms = {members[modality][1:] for _, _, _, members in found}
        if len(forms) > 1:
            raise ShardError(
                f"{folder} holds {modality} of several forms, {forms}; run `avdistill decode` into an empty folder"
            )
        kind, stored = forms.pop()
        places = torch.tensor([(number, members[modality][0]) for number, _, _, members in found])
        rows[modality] = MappedRows(
            modality=modality, tars=tars, places=places, kind=kind, stored=stored, keys=keys
        )
    return _build_real_set(index, rows, keys, [said for _, _, said, _ in found])


def _locate_samples(
    path: Path,
) -> Iterator[tuple[str, dict[str, Any], dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]]]]:
    """Key, description and modality -> (first byte of its values, type, shape) of each sample of a tar."""
    with tarfile.open(path, "r:") as tar:
        for key, members in groupby(tar, key=lambda member: member.name.partition(".")[0]):
            said, arrays = {}, {}
            for member in members:
                stream, ending = tar.extractfile(member), member.name.partition(".")[2]
                if stream is not None and ending == "json":
                    said = json.load(stream)
                elif stream is not None and ending.endswith(".npy"):
                    np.lib.format.read_magic(stream)
                    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
                    arrays[ending.removesuffix(".npy")] = (
                        member.offset_data + stream.tell(),
                        kind,
                        shape,
                    )
            yield key, said, arrays
