"""TODO from pipeline/shards.py."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import OutputError, ShardError
from pipeline.core.files import digest_of, file_digest, read_json, write_json
from pipeline.core.records import UNKNOWN, Normalisation, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


INDEX = "index.json"


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
        units = {
            modality: asdict(normalisation)
            for modality, normalisation in self.normalisation.items()
        }
        return digest_of(
            [self.classes, self.preprocessing, units, [shard.sha256 for shard in self.shards]]
        )


def shard_of(clip_id: str, count: int) -> str:
    """The shard of a clip, by the hash of its id: a new clip touches one shard."""
    return f"shard-{int(hashlib.sha256(clip_id.encode()).hexdigest(), 16) % count:05d}"


def find_intact_shards(
    folder: Path, ledger: Mapping[str, list[dict[str, str]]]
) -> dict[str, tuple[Shard, list[dict[str, str]]]]:
    """The whole shards of an earlier or interrupted run, by name, with their rows; a folder that holds something else is refused.

    Args:
        ledger: shard -> rows of the ledger beside the folder, for shards that the index lists.
    """
    if not folder.exists():
        return {}
    foreign = [
        p
        for p in folder.iterdir()
        if p.name != INDEX and not p.name.startswith("shard-") and p.suffix != ".part"
    ]
    if foreign:
        raise OutputError(
            f"{folder} holds {foreign[0].name}, which is no shard; name another output folder"
        )
    listed = [(shard, ledger.get(shard.name, [])) for shard in _list_shards(folder)]
    records = [read_json(path, "decode") for path in sorted(folder.glob("shard-*.json"))]
    found = [*listed, *((Shard(**record["shard"]), record["rows"]) for record in records)]
    return {
        shard.name: (shard, rows)
        for shard, rows in found
        if shard.fates == digest_of(rows) and _is_intact(folder, shard)
    }


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
        raise ShardError(
            f"{folder} holds no {INDEX}; expected the shards of one split, as `avdistill decode` writes them"
        )
    value = read_json(folder / INDEX, "decode")
    try:
        return Index(
            source=Source(**value.get("source", {})),
            classes=tuple(value["classes"]),
            preprocessing=value["preprocessing"],
            normalisation={
                m: Normalisation.from_json(n) for m, n in value["normalisation"].items()
            },
            shards=tuple(Shard(**shard) for shard in value["shards"]),
        )
    except (KeyError, TypeError) as error:
        raise ShardError(
            f"{folder / INDEX} is no index of shards ({error}); run `avdistill decode` again"
        ) from error


def _list_shards(folder: Path) -> tuple[Shard, ...]:
    return read_index(folder).shards if (folder / INDEX).is_file() else ()


def _is_intact(folder: Path, shard: Shard) -> bool:
    path = folder / f"{shard.name}.tar"
    return path.is_file() and file_digest(path) == shard.sha256
