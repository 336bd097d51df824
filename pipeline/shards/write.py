"""Write samples as tars of reproducible bytes, with the moments of their values."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import webdataset

from pipeline.core.files import create_file, digest_of, file_digest, write_json
from pipeline.core.records import Sample
from pipeline.shards.index import Shard
from pipeline.shards.layout import move_channels_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath

# Fields of a sample that go into its JSON file.
DESCRIPTION = ("clip", "label", "pts", "quality", "second")


def write_shard(
    folder: Path, name: str, source: str, samples: Iterable[Sample], rows: list[dict[str, str]]
) -> Shard:
    """Write one tar, its members sorted and without a clock, then its record beside it.

    Args:
        folder: of the split.
        name: of the tar, without the extension.
        source: digest of all that decides its bytes.
        samples: in any order.
        rows: the ledger's rows of its clips and windows, which go into the record.
    """
    moments = _Moments()
    path = folder / f"{name}.tar"

    def iterate_samples() -> Iterator[tuple[str, Mapping[str, np.ndarray], Mapping[str, Any]]]:
        for sample in sorted(samples, key=lambda sample: sample.key):
            moments.add(sample)
            description = {field: getattr(sample, field) for field in DESCRIPTION}
            yield sample.key, sample.arrays, description

    count = write_tar(path, iterate_samples())
    shard = Shard(
        name=name,
        source=source,
        sha256=file_digest(path),
        samples=count,
        moments=moments.sums,
        fates=digest_of(rows),
    )
    write_json(folder / f"{name}.json", {"shard": asdict(shard), "rows": rows})
    return shard


def write_tar(
    path: AnyPath, samples: Iterable[tuple[str, Mapping[str, np.ndarray], Mapping[str, Any]]]
) -> int:
    """Write samples as one tar without a clock, and return their number.

    Args:
        path: the file to write.
        samples: (key, arrays by modality, description) each.
    """
    count = 0
    with (
        create_file(path) as part,
        part.open("wb") as stream,
        webdataset.TarWriter(stream, encoder=False, mtime=0) as tar,
    ):
        for key, arrays, description in samples:
            members = {
                f"{modality}.npy": _encode_npy(array) for modality, array in sorted(arrays.items())
            }
            text = json.dumps(description, sort_keys=True)
            tar.write({"__key__": key, **members, "json": text.encode()})
            count += 1
    return count


def moments_of(
    shards: Iterable[Shard], scale: dict[str, float]
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return mean and standard deviation per channel of each modality.

    Args:
        shards: whose samples count.
        scale: modality -> factor from stored values.
    """
    result = {}
    for modality, factor in scale.items():
        parts = [shard.moments[modality] for shard in shards if shard.samples]
        count = sum(part[0] for part in parts)
        total, squares = (np.sum([part[i] for part in parts], axis=0) for i in (1, 2))
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
        result[modality] = tuple((mean * factor).tolist()), tuple((std * factor).tolist())
    return result


class _Moments:
    """Sums and sums of squares per channel, in float64, of the stored values."""

    def __init__(self) -> None:
        self.sums: dict[str, list[Any]] = {}

    def add(self, sample: Sample) -> None:
        for modality, array in sample.arrays.items():
            channels = move_channels_first(array)
            # Contiguous before it grows to float64: a strided sum takes ten times as long.
            values = np.ascontiguousarray(np.moveaxis(channels, max(channels.ndim - 3, 0), 0))
            values = values.reshape(len(values), -1).astype(np.float64)
            new = [values.shape[1], values.sum(1), np.square(values).sum(1)]
            old = self.sums.get(modality, [0, 0.0, 0.0])
            self.sums[modality] = [
                old[0] + new[0],
                *((np.asarray(old[i]) + new[i]).tolist() for i in (1, 2)),
            ]


def _encode_npy(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()
