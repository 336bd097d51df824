"""Door to webdataset: samples <-> tar shards with reproducible bytes, in memory or left there, and the index of whole ones."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from webdataset.tariterators import group_by_keys, tar_file_expander

from pipeline.core.errors import ShardError
from pipeline.core.records import RealSet, Rows
from pipeline.shards.index import INDEX, Index, Shard, _is_intact, read_index
from pipeline.shards.layout import _move_channels_first, _refuse_not_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def read_shards(folder: Path) -> RealSet:
    """Read a whole split into memory: frame u8 [N, T, 3, H, W], logmel f16 [N, 1, M, F], wave i16 [N, 1, rate].

    Each tar is checked by its digest.
    """
    index, count = _read_nonempty_index(folder)
    keys, about = [], []
    rows: dict[str, np.ndarray] = {}
    for place, (key, said, arrays) in enumerate(
        row for shard in index.shards for row in _read_rows(folder, shard)
    ):
        keys.append(key)
        about.append(said)
        for modality in index.normalisation:
            _refuse_not_finite(arrays[modality], modality, key, folder)
            array = _move_channels_first(arrays[modality])
            # Each sample is copied once, to its place. Contiguous, or networks run with channels last, where instance norm is
            # several times slower on a CPU.
            if modality not in rows:
                rows[modality] = np.empty((count, *array.shape), array.dtype)
            rows[modality][place] = array
    return _build_real_set(
        index,
        {modality: torch.from_numpy(values) for modality, values in rows.items()},
        keys,
        about,
    )


def _read_nonempty_index(folder: Path) -> tuple[Index, int]:
    """The index, and how many samples it counts: a ShardError if there is none."""
    index = read_index(folder)
    count = sum(shard.samples for shard in index.shards)
    if not count:
        raise ShardError(f"{folder} holds no sample; see the ledger beside it for the reasons")
    return index, count


def _build_real_set(
    index: Index, rows: Mapping[str, Rows], keys: Sequence[str], about: Sequence[Mapping[str, Any]]
) -> RealSet:
    number = {name: i for i, name in enumerate(index.classes)}
    return RealSet(
        rows=rows,
        label=torch.tensor([number[a["label"]] for a in about]),
        keys=tuple(keys),
        clips=tuple(a["clip"] for a in about),
        classes=index.classes,
        normalisation=index.normalisation,
        preprocessing=index.preprocessing,
        digest=index.digest,
        source=index.source,
    )


def _read_rows(
    folder: Path, shard: Shard
) -> Iterator[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    path = _check_shard(folder, shard)
    with path.open("rb") as stream:  # webdataset's own loader would leave the file open
        for member in group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])):
            arrays = {
                name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
                for name, content in member.items()
                if name.endswith(".npy")
            }
            yield member["__key__"], json.loads(member["json"]), arrays


def _check_shard(folder: Path, shard: Shard) -> Path:
    path = folder / f"{shard.name}.tar"
    if not _is_intact(folder, shard):
        raise ShardError(
            f"{path} is not the file that {INDEX} lists; run `avdistill decode` again to write it anew"
        )
    return path
