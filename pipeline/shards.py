"""Door to webdataset: samples <-> tar shards with reproducible bytes, in memory or left there, and the index of whole ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import webdataset
from torch import Tensor
from webdataset.tariterators import group_by_keys, tar_file_expander

from pipeline.errors import OutputError, ShardError
from pipeline.files import digest_of, file_digest, new_file, read_json, write_json
from pipeline.records import UNKNOWN, Normalisation, RealSet, Rows, Sample, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

INDEX = "index.json"
# Rows that are read at once when all of them are asked for.
CHUNK = 256
# What a sample's JSON says of it.
_TOLD = ("clip", "label", "pts", "quality", "second")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What the index knows of one tar.

    Args:
        source: digest of the clips and parameters that decide its bytes; while it stands, the shard is kept.
        moments: modality -> [count, sums per channel, sums of squares per channel] of its samples.
        fates: digest of the ledger's rows of its clips and windows.
    """

    name: str
    source: str
    sha256: str
    samples: int
    moments: dict[str, list[Any]]
    fates: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """What a reader needs besides the tars: class names, normalisation, the digest of the preprocessing, and the source."""

    source: Source = UNKNOWN
    classes: tuple[str, ...]
    preprocessing: str
    normalisation: dict[str, Normalisation]
    shards: tuple[Shard, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over all that results come from: the shards' digests, class names and normalisation, whatever wrote them.

        The source is none of it: what is made from shards stands when a licence is stated in other words.
        """
        units = {modality: asdict(normalisation) for modality, normalisation in self.normalisation.items()}
        return digest_of([self.classes, self.preprocessing, units, [shard.sha256 for shard in self.shards]])


def shard_of(clip_id: str, count: int) -> str:
    """The shard of a clip, by the hash of its id: a new clip touches one shard."""
    return f"shard-{int(hashlib.sha256(clip_id.encode()).hexdigest(), 16) % count:05d}"


def write_shard(folder: Path, name: str, source: str, samples: Iterable[Sample], rows: list[dict[str, str]]) -> Shard:
    """Write one tar, members sorted and without a clock, then its record beside it, which holds its rows of the ledger."""
    moments = _Moments()
    path = folder / f"{name}.tar"

    def counted() -> Iterator[tuple[str, Mapping[str, np.ndarray], Mapping[str, Any]]]:
        for sample in sorted(samples, key=lambda sample: sample.key):
            moments.add(sample)
            yield sample.key, sample.arrays, {told: getattr(sample, told) for told in _TOLD}

    count = write_tar(path, counted())
    shard = Shard(name=name, source=source, sha256=file_digest(path), samples=count, moments=moments.sums, fates=digest_of(rows))
    write_json(folder / f"{name}.json", {"shard": asdict(shard), "rows": rows})
    return shard


def write_tar(path: Path, samples: Iterable[tuple[str, Mapping[str, np.ndarray], Mapping[str, Any]]]) -> int:
    """Write samples, each a key, arrays by modality and what is said of it, as one tar without a clock; return their number."""
    count = 0
    with new_file(path) as part, part.open("wb") as stream, webdataset.TarWriter(stream, encoder=False, mtime=0) as tar:
        for key, arrays, about in samples:
            named = {f"{modality}.npy": _npy(array) for modality, array in sorted(arrays.items())}
            tar.write({"__key__": key, **named, "json": json.dumps(about, sort_keys=True).encode()})
            count += 1
    return count


def standing(folder: Path, ledger: Mapping[str, list[dict[str, str]]]) -> dict[str, tuple[Shard, list[dict[str, str]]]]:
    """The whole shards of an earlier or interrupted run, by name, with their rows; a folder that holds something else is refused.

    Args:
        ledger: shard -> rows of the ledger beside the folder, for shards that the index lists.
    """
    if not folder.exists():
        return {}
    foreign = [p for p in folder.iterdir() if p.name != INDEX and not p.name.startswith("shard-") and p.suffix != ".part"]
    if foreign:
        raise OutputError(f"{folder} holds {foreign[0].name}, which is no shard; name another output folder")
    listed = [(shard, ledger.get(shard.name, [])) for shard in _listed(folder)]
    records = [read_json(path, "decode") for path in sorted(folder.glob("shard-*.json"))]
    found = [*listed, *((Shard(**record["shard"]), record["rows"]) for record in records)]
    return {shard.name: (shard, rows) for shard, rows in found if shard.fates == digest_of(rows) and _whole(folder, shard)}


def write_index(folder: Path, index: Index) -> None:
    """Write the index last, then drop what it does not list, and the records that it took in."""
    write_json(folder / INDEX, asdict(index))
    listed = {INDEX, *(f"{shard.name}.tar" for shard in index.shards)}
    for path in folder.iterdir():
        if path.name not in listed:
            path.unlink()


def read_index(folder: Path) -> Index:
    """Read a split's index; ShardError if the folder holds none, naming what to run."""
    if not (folder / INDEX).is_file():
        raise ShardError(f"{folder} holds no {INDEX}; expected the shards of one split, as `avdistill decode` writes them")
    value = read_json(folder / INDEX, "decode")
    try:
        return Index(
            source=Source(**value.get("source", {})),
            classes=tuple(value["classes"]),
            preprocessing=value["preprocessing"],
            normalisation={m: Normalisation.from_json(n) for m, n in value["normalisation"].items()},
            shards=tuple(Shard(**shard) for shard in value["shards"]),
        )
    except (KeyError, TypeError) as error:
        raise ShardError(f"{folder / INDEX} is no index of shards ({error}); run `avdistill decode` again") from error


def read_shards(folder: Path) -> RealSet:
    """Read a whole split into memory: frame u8 [N, T, 3, H, W], logmel f16 [N, 1, M, F], wave i16 [N, 1, rate].

    Each tar is checked by its digest.
    """
    index, count = _filled(folder)
    keys, about = [], []
    rows: dict[str, np.ndarray] = {}
    for place, (key, said, arrays) in enumerate(row for shard in index.shards for row in _rows(folder, shard)):
        keys.append(key)
        about.append(said)
        for modality in index.normalisation:
            _refuse_not_finite(arrays[modality], modality, key, folder)
            array = _channels_first(arrays[modality])
            # Each sample is copied once, to its place. Contiguous, or networks run with channels last, where instance norm is
            # several times slower on a CPU.
            if modality not in rows:
                rows[modality] = np.empty((count, *array.shape), array.dtype)
            rows[modality][place] = array
    return _real_set(index, {modality: torch.from_numpy(values) for modality, values in rows.items()}, keys, about)


@dataclass(frozen=True, kw_only=True)
class Mapped:
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
        return torch.Size((len(self), *_channels_first(np.broadcast_to(np.empty((), self.kind), self.stored)).shape))

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
        order = sorted(zip(self.places[wanted].tolist(), wanted.tolist(), range(len(wanted)), strict=True))
        for tar, group in groupby(order, key=lambda one: one[0][0]):
            with self.tars[tar].open("rb", buffering=0) as stream:
                for (_, start), number, place in group:
                    stream.seek(start)
                    if stream.readinto(row.data) != row.nbytes:
                        raise ShardError(f"{self.tars[tar]} has become shorter while it was read; run the same command again")
                    _refuse_not_finite(row, self.modality, self.keys[number], self.tars[tar])
                    values[place] = _channels_first(row)
        return torch.from_numpy(values)

    def to(self, device: torch.device, /) -> Tensor:
        """All rows, on the device; a part of them at a time is in memory besides."""
        parts = (slice(first, first + CHUNK) for first in range(0, len(self), CHUNK))
        whole = torch.empty(self.shape, dtype=torch.from_numpy(np.empty(0, self.kind)).dtype, device=device)
        for part in parts:
            whole[part] = self[part]
        return whole


def map_shards(folder: Path) -> RealSet:
    """A split whose rows stay in their shards, see `Mapped`; otherwise what `read_shards` gives.

    Each tar is checked by its digest. In memory are keys, labels, and 16 bytes per row and modality.
    """
    index, _ = _filled(folder)
    tars = [_checked(folder, shard) for shard in index.shards]
    found = [(number, *sample) for number, tar in enumerate(tars) for sample in _located(tar)]
    keys = [key for _, key, _, _ in found]
    rows = {}
    for modality in index.normalisation:
        forms = {members[modality][1:] for _, _, _, members in found}
        if len(forms) > 1:
            raise ShardError(f"{folder} holds {modality} of several forms, {forms}; run `avdistill decode` into an empty folder")
        kind, stored = forms.pop()
        places = torch.tensor([(number, members[modality][0]) for number, _, _, members in found])
        rows[modality] = Mapped(modality=modality, tars=tars, places=places, kind=kind, stored=stored, keys=keys)
    return _real_set(index, rows, keys, [said for _, _, said, _ in found])


def _filled(folder: Path) -> tuple[Index, int]:
    """The index, and how many samples it counts: a ShardError if there is none."""
    index = read_index(folder)
    count = sum(shard.samples for shard in index.shards)
    if not count:
        raise ShardError(f"{folder} holds no sample; see the ledger beside it for the reasons")
    return index, count


def _real_set(index: Index, rows: Mapping[str, Rows], keys: Sequence[str], about: Sequence[Mapping[str, Any]]) -> RealSet:
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


def moments_of(shards: Iterable[Shard], scale: dict[str, float]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Mean and standard deviation per channel of each modality over some shards, times its scale."""
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
    """Sums and sums of squares per channel, in float64 of the stored values."""

    def __init__(self) -> None:
        self.sums: dict[str, list[Any]] = {}

    def add(self, sample: Sample) -> None:
        for modality, array in sample.arrays.items():
            channels = _channels_first(array)
            # Contiguous before it grows to float64: a strided sum takes ten times as long.
            values = np.ascontiguousarray(np.moveaxis(channels, max(channels.ndim - 3, 0), 0))
            values = values.reshape(len(values), -1).astype(np.float64)
            new = [values.shape[1], values.sum(1), np.square(values).sum(1)]
            old = self.sums.get(modality, [0, 0.0, 0.0])
            self.sums[modality] = [old[0] + new[0], *((np.asarray(old[i]) + new[i]).tolist() for i in (1, 2))]


def _channels_first(array: np.ndarray) -> np.ndarray:
    """Frame [T, H, W, 3] -> [T, 3, H, W]; logmel [M, F] -> [1, M, F], wave [n] -> [1, n]: on disk pictures end in channels."""
    return np.moveaxis(array, -1, -3) if array.ndim > 2 else array[None]


def channels_last(row: np.ndarray) -> np.ndarray:
    """Frame [T, 3, H, W] -> [T, H, W, 3]; logmel [1, M, F] -> [M, F]: a row as shards hold it."""
    return np.moveaxis(row, -3, -1) if row.ndim > 3 else row[0]


def _npy(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


def _rows(folder: Path, shard: Shard) -> Iterator[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    path = _checked(folder, shard)
    with path.open("rb") as stream:  # webdataset's own loader would leave the file open
        for member in group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])):
            arrays = {
                name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
                for name, content in member.items()
                if name.endswith(".npy")
            }
            yield member["__key__"], json.loads(member["json"]), arrays


def _located(path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]]]]:
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
                    arrays[ending.removesuffix(".npy")] = (member.offset_data + stream.tell(), kind, shape)
            yield key, said, arrays


def _checked(folder: Path, shard: Shard) -> Path:
    path = folder / f"{shard.name}.tar"
    if not _whole(folder, shard):
        raise ShardError(f"{path} is not the file that {INDEX} lists; run `avdistill decode` again to write it anew")
    return path


def _refuse_not_finite(array: np.ndarray, modality: str, key: str, place: Path) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        told = f"{place}: {modality} of sample {key} holds NaN or infinite values"
        raise ShardError(f"{told}; take its clip off the manifest and run `avdistill decode` again")


def _listed(folder: Path) -> tuple[Shard, ...]:
    return read_index(folder).shards if (folder / INDEX).is_file() else ()


def _whole(folder: Path, shard: Shard) -> bool:
    path = folder / f"{shard.name}.tar"
    return path.is_file() and file_digest(path) == shard.sha256
