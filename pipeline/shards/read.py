"""Read a split's shards into memory."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from webdataset.tariterators import group_by_keys, tar_file_expander

from pipeline.core.errors import ShardError
from pipeline.core.paths import to_path
from pipeline.core.records import RealSet, Rows
from pipeline.shards.index import INDEX, Index, Shard, is_intact, read_index
from pipeline.shards.layout import move_channels_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.core.paths import AnyPath


def read_shards(folder: AnyPath) -> RealSet:
    """Read a whole split into memory; each tar is checked by its digest.

    The rows are frame u8 [N, T, 3, H, W], logmel f16 [N, 1, M, F], wave i16 [N, 1, rate].

    Args:
        folder: of one split.

    Raises:
        ShardError: the split has no sample, a tar was changed, or a value is not finite.
    """
    folder = to_path(folder)
    index, count = read_nonempty_index(folder)
    keys, descriptions = [], []
    rows: dict[str, np.ndarray] = {}
    samples = (sample for shard in index.shards for sample in read_samples(folder, shard))
    for position, (key, description, arrays) in enumerate(samples):
        keys.append(key)
        descriptions.append(description)
        for modality in index.normalisation:
            refuse_not_finite(arrays[modality], modality, key, folder)
            array = move_channels_first(arrays[modality])
            # Each sample is copied once. Contiguous: otherwise networks run with channels last,
            # where instance norm is several times slower on a CPU.
            if modality not in rows:
                rows[modality] = np.empty((count, *array.shape), array.dtype)
            rows[modality][position] = array
    tensors = {modality: torch.from_numpy(values) for modality, values in rows.items()}
    return build_real_set(index, tensors, keys, descriptions)


def read_nonempty_index(folder: AnyPath) -> tuple[Index, int]:
    """Return a split's index and its number of samples.

    Args:
        folder: of one split.

    Raises:
        ShardError: there is no index, or it lists no sample.
    """
    index = read_index(folder)
    count = sum(shard.samples for shard in index.shards)
    if not count:
        raise ShardError(f"{folder} holds no sample; see the ledger beside it for the reasons")
    return index, count


def build_real_set(
    index: Index,
    rows: Mapping[str, Rows],
    keys: Sequence[str],
    descriptions: Sequence[Mapping[str, Any]],
) -> RealSet:
    """Make a split's record.

    Args:
        index: of the split.
        rows: by modality, in memory or in their shards.
        keys: of each sample.
        descriptions: the JSON of each sample.
    """
    number = {name: i for i, name in enumerate(index.classes)}
    return RealSet(
        rows=rows,
        label=torch.tensor([number[description["label"]] for description in descriptions]),
        keys=tuple(keys),
        clips=tuple(description["clip"] for description in descriptions),
        classes=index.classes,
        normalisation=index.normalisation,
        preprocessing=index.preprocessing,
        preprocessing_params=index.preprocessing_params,
        digest=index.digest,
        source=index.source,
    )


def read_samples(
    folder: Path, shard: Shard
) -> Iterator[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    """Yield (key, description, stored arrays by modality) of each sample of a shard.

    Args:
        folder: of the split.
        shard: its entry in the index.

    Raises:
        ShardError: the tar was changed.
    """
    path = check_shard(folder, shard)
    with path.open("rb") as stream:  # webdataset's own loader would leave the file open
        for member in group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])):
            arrays = {
                name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
                for name, content in member.items()
                if name.endswith(".npy")
            }
            yield member["__key__"], json.loads(member["json"]), arrays


def check_shard(folder: Path, shard: Shard) -> Path:
    """Return the path of a tar, after a check of its digest.

    Args:
        folder: of the split.
        shard: its entry in the index.

    Raises:
        ShardError: the tar is missing or was changed.
    """
    path = folder / f"{shard.name}.tar"
    if not is_intact(folder, shard):
        raise ShardError(
            f"{path} is not the file that {INDEX} lists; run `avdistill decode` to write it again"
        )
    return path


def refuse_not_finite(array: np.ndarray, modality: str, key: str, path: Path) -> None:
    """Raise ShardError if an array holds NaN or infinity.

    Args:
        array: of any type.
        modality: for the message.
        key: of the sample, for the message.
        path: of the shard or its folder, for the message.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ShardError(
            f"{path}: {modality} of sample {key} holds NaN or infinite values; "
            "take its clip off the manifest and run `avdistill decode` again"
        )
