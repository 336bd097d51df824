"""The index of a split's shards: their digests and moments, the class names, the normalisation."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import OutputError, ShardError
from pipeline.core.files import digest_of, file_digest, read_json, write_json
from pipeline.core.paths import list_folder, to_path
from pipeline.core.records import UNKNOWN, Normalisation, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath


INDEX = "index.json"
# Beside the folders of the splits: outcomes of clips and windows, and near-duplicates.
LEDGER, LEAKS = "ledger.csv", "leaks.csv"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One tar in the index.

    Args:
        name: of its file, without the extension.
        source: digest of the clips and parameters that decide its bytes; the shard is kept until
            this digest changes.
        sha256: digest of the file.
        samples: number of samples in it.
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
    """The index of a split: all that a reader needs besides the tars.

    Args:
        source: where the clips come from.
        classes: names of all classes, sorted.
        preprocessing: digest of the parameters that made the samples from the media.
        preprocessing_params: those parameters by modality; empty in indices of before 0.3.
        normalisation: by modality.
        shards: the tars of the split.
    """

    source: Source = UNKNOWN
    classes: tuple[str, ...]
    preprocessing: str
    preprocessing_params: Mapping[str, Any] = field(default_factory=dict)
    normalisation: dict[str, Normalisation]
    shards: tuple[Shard, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides results: class names, normalisation, digests of the shards.

        The source is left out: results made from shards stay valid when a licence is reworded.
        """
        units = {
            modality: asdict(normalisation)
            for modality, normalisation in self.normalisation.items()
        }
        return digest_of(
            [self.classes, self.preprocessing, units, [shard.sha256 for shard in self.shards]]
        )


def shard_of(clip_id: str, count: int) -> str:
    """Return the name of a clip's shard, by the hash of its id: a new clip touches one shard.

    Args:
        clip_id: id of the clip.
        count: shards per split.
    """
    return f"shard-{int(hashlib.sha256(clip_id.encode()).hexdigest(), 16) % count:05d}"


def find_intact_shards(
    folder: Path, ledger: Mapping[str, list[dict[str, str]]]
) -> dict[str, tuple[Shard, list[dict[str, str]]]]:
    """Return the intact shards of an earlier or interrupted run, by name, with their ledger rows.

    Args:
        folder: of one split.
        ledger: shard -> rows of the ledger beside the folder, for shards that the index lists.

    Raises:
        OutputError: the folder holds other files.
    """
    if not folder.exists():
        return {}
    foreign = [
        p
        for p in list_folder(folder)
        if p.name != INDEX and not p.name.startswith("shard-") and p.suffix != ".part"
    ]
    if foreign:
        raise OutputError(
            f"{folder} holds {foreign[0].name}, which is no shard; name another output folder"
        )
    indexed = read_index(folder).shards if (folder / INDEX).is_file() else ()
    records = [read_json(path, "decode") for path in list_folder(folder, "shard-*.json")]
    shards = [
        *((shard, ledger.get(shard.name, [])) for shard in indexed),
        *((Shard(**record["shard"]), record["rows"]) for record in records),
    ]
    return {
        shard.name: (shard, rows)
        for shard, rows in shards
        if shard.fates == digest_of(rows) and is_intact(folder, shard)
    }


def write_index(folder: Path, index: Index) -> None:
    """Write the index, then remove what it does not list and the records that it replaces.

    Args:
        folder: of one split.
        index: lists its shards.
    """
    write_json(folder / INDEX, asdict(index))
    listed = {INDEX, *(f"{shard.name}.tar" for shard in index.shards)}
    for path in list_folder(folder):
        if path.name not in listed:
            path.unlink()


def read_index(folder: AnyPath) -> Index:
    """Read a split's index.

    Args:
        folder: of one split.

    Raises:
        ShardError: the folder holds no index, or one that cannot be read.
    """
    folder = to_path(folder)
    if not (folder / INDEX).is_file():
        raise ShardError(
            f"{folder} holds no {INDEX}; "
            "expected the shards of one split, as `avdistill decode` writes them"
        )
    value = read_json(folder / INDEX, "decode")
    try:
        return Index(
            source=Source(**value.get("source", {})),
            classes=tuple(value["classes"]),
            preprocessing=value["preprocessing"],
            preprocessing_params=value.get("preprocessing_params", {}),
            normalisation={
                m: Normalisation.from_json(n) for m, n in value["normalisation"].items()
            },
            shards=tuple(Shard(**shard) for shard in value["shards"]),
        )
    except (KeyError, TypeError) as error:
        raise ShardError(
            f"{folder / INDEX} is no index of shards ({error}); run `avdistill decode` again"
        ) from error


def is_intact(folder: Path, shard: Shard) -> bool:
    """Return whether a shard's file is there and has its digest.

    Args:
        folder: of the split.
        shard: its entry in the index.
    """
    path = folder / f"{shard.name}.tar"
    return path.is_file() and file_digest(path) == shard.sha256
