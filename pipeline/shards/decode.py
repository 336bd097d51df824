"""The decode line: clips -> workers -> log-mels -> shards, with the fate of every clip and window in a ledger."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipeline import media
from pipeline.core.errors import REASONS, OutputError, ParamsError
from pipeline.core.files import digest_of, lock_output
from pipeline.core.records import SPLITS, UNKNOWN, Clip, Normalisation, Source
from pipeline.shards.index import Index, find_intact_shards, shard_of, write_index
from pipeline.shards.leaks import LEAKS, write_leaks
from pipeline.shards.ledger import (
    LEDGER,
    counts_of,
    read_ledger,
    refuse_empty,
    refuse_rejects,
    table_of,
    write_ledger,
)
from pipeline.shards.outcomes import (
    ClipOutcome,
    Row,
    Status,
    limit_clips,
    make_outcome,
    refuse_before_decoding,
)
from pipeline.shards.settings import UNIT, Decode, FixedNormalisation
from pipeline.shards.write import moments_of, write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pipeline.shards.engines import EnginePlugin
    from pipeline.shards.index import Shard

__all__ = [
    "LEDGER",
    "UNIT",
    "ClipOutcome",
    "Decode",
    "FixedNormalisation",
    "counts_of",
    "decode_all",
    "limit_clips",
    "make_outcome",
    "refuse_before_decoding",
    "table_of",
]

# Raise this number when the code that makes samples changes their bytes: shards of another number are decoded anew.
DECODER = 2
LIBRARIES = ("av", "decord2", "torchaudio")
# Reasons that say more of the machine than of the clip: such clips are tried again by the next run.
PASSING = {"missing_file", "timeout", "crash", "memory"}

# (split, shard)
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class DecodePlan:
    """Which clips make which shard, the fates that are known before, and how the rest are decoded."""

    clips: Mapping[Key, list[Clip]]
    fates: Mapping[str, Status]
    params: Decode

    def source(self, key: Key) -> str:
        """Digest of all that decides a shard's bytes."""
        fates = [self.fates.get(clip.clip_id) for clip in self.clips[key]]
        rows = [
            [c.clip_id, c.label, c.start_s, c.end_s, c.sha256, fate and [fate.reason, fate.detail]]
            for c, fate in zip(self.clips[key], fates, strict=True)
        ]
        libraries = [version(name) for name in LIBRARIES]
        return digest_of(
            [
                rows,
                self.params.preprocessing,
                self.params.backends,
                self.params.filters,
                DECODER,
                libraries,
            ]
        )


def decode_all(
    clips: list[Clip],
    out: Path,
    params: Decode,
    engine: EnginePlugin,
    report: Callable[..., None],
    retry: Collection[str] = (),
    source: Source = UNKNOWN,
) -> dict[str, Any]:
    """Decode every clip into `out`/<split>/, keep the shards that stand, write the ledger, return its counts.

    Args:
        engine: what decodes, a shard's clips as a batch.
        retry: reasons of the ledger; a shard with a clip or window that failed for one of them is decoded anew.
        source: where the clips come from; shards stand when it changes, and their indices say the new one.

    Raises:
        ParamsError: `retry` names a reason that the ledger does not know.
        RejectError: more clips or windows were rejected than `max_reject_fraction`; everything is written all the same.
        ShardError: a class has no sample in some split.
        OutputError: the folder is not ours, cannot be written, or another run is writing it.
    """
    unknown = sorted(set(retry) - set(REASONS))
    if unknown:
        raise ParamsError(
            f"--retry {unknown[0]}: the ledger knows no such reason; there are {', '.join(REASONS)}"
        )
    _refuse_foreign(out)
    with lock_output(out):
        plan = DecodePlan(
            clips=_group_by_shard(clips, params),
            fates=refuse_before_decoding(clips, params.drop_duplicates),
            params=params,
        )
        done = _find_reusable_shards(plan, out, PASSING | set(retry))
        for split in SPLITS:
            (out / split).mkdir(parents=True, exist_ok=True)
        done |= dict(
            _decode_shards(
                plan, [key for key in sorted(plan.clips) if key not in done], out, engine, report
            )
        )
        ledger = [row for key in sorted(done) for row in done[key][1]]
        counts = write_ledger(ledger, clips, write_leaks(ledger, params.leak_bits, out), out)
        refuse_empty(ledger, clips, out)
        _write_indices({key: shard for key, (shard, _) in done.items()}, clips, params, source, out)
    refuse_rejects(counts, params.max_reject_fraction, out)
    return counts


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the shards")
    foreign = [
        path
        for path in out.glob("*")
        if path.name not in (*SPLITS, LEDGER, LEAKS) and path.suffix != ".part"
    ]
    if foreign:
        raise OutputError(
            f"{out} holds {foreign[0].name}, which `avdistill decode` did not write; name another output folder"
        )


def _group_by_shard(clips: list[Clip], params: Decode) -> dict[Key, list[Clip]]:
    plan: dict[Key, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        plan[clip.split, shard_of(clip.clip_id, params.shards)].append(clip)
    return plan


def _find_reusable_shards(
    plan: DecodePlan, out: Path, again: Collection[str]
) -> dict[Key, tuple[Shard, list[Row]]]:
    """The shards of earlier runs that are what this plan would make, and hold no clip that is to be tried again."""
    ledger = read_ledger(out)
    kept = {
        split: find_intact_shards(
            out / split, {key[1]: ledger[key] for key in ledger if key[0] == split}
        )
        for split in SPLITS
    }
    found = {key: kept[key[0]][key[1]] for key in plan.clips if key[1] in kept[key[0]]}
    return {
        key: (shard, rows)
        for key, (shard, rows) in found.items()
        if shard.source == plan.source(key) and not any(row["reason"] in again for row in rows)
    }


def _decode_shards(
    plan: DecodePlan, todo: list[Key], out: Path, engine: EnginePlugin, report: Callable[..., None]
) -> Iterator[tuple[Key, tuple[Shard, list[Row]]]]:
    """Decode clips in any order, write each shard when its last clip is in."""
    params, home = plan.params, {clip.clip_id: key for key in todo for clip in plan.clips[key]}
    outcomes: dict[Key, dict[str, ClipOutcome]] = defaultdict(dict)
    batches: dict[Key, list[Clip]] = defaultdict(list)
    for clip in (clip for key in todo for clip in plan.clips[key]):
        fate, key = plan.fates.get(clip.clip_id), home[clip.clip_id]
        if fate is None:
            batches[key].append(clip)
        else:
            outcomes[key][clip.clip_id] = make_outcome(clip, key[1], fate, params)
    # What needs no decoding is whole already.
    yield from (
        _finish_shard(plan, key, outcomes.pop(key), out)
        for key in todo
        if len(outcomes[key]) == len(plan.clips[key])
    )
    function = functools.partial(media.decode, tracks=params.tracks, backends=params.backends)
    limits = {
        "deadline_s": params.deadline_s,
        "memory_mb": params.memory_mb,
        "recycle": params.recycle,
    }
    total, tally = sum(map(len, batches.values())), DecodeProgress()
    for clip, result in engine.work(function, batches.values(), **limits):  # type: ignore[arg-type]
        key = home[clip.clip_id]
        outcomes[key][clip.clip_id] = make_outcome(clip, key[1], result, params)
        tally.add(clip, outcomes[key][clip.clip_id])
        report(tally.ok + tally.rejected, total, **tally.figures)
        if len(outcomes[key]) == len(plan.clips[key]):
            yield _finish_shard(plan, key, outcomes.pop(key), out)


def _finish_shard(
    plan: DecodePlan, key: Key, outcomes: Mapping[str, ClipOutcome], out: Path
) -> tuple[Key, tuple[Shard, list[Row]]]:
    parts = [outcomes[clip.clip_id] for clip in plan.clips[key]]
    rows = [row for part in parts for row in part.rows]
    samples = (sample for part in parts for sample in part.samples)
    return key, (write_shard(out / key[0], key[1], plan.source(key), samples, rows), rows)


@dataclass(kw_only=True)
class DecodeProgress:
    """What has been done, for the progress line: clips ok and rejected, windows and megabytes of media a second."""

    ok: int = 0
    rejected: int = 0
    windows: int = 0
    megabytes: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def add(self, clip: Clip, outcome: ClipOutcome) -> None:
        """Count one clip."""
        self.ok += bool(outcome.samples)
        self.rejected += not outcome.samples
        self.windows += len(outcome.samples)
        self.megabytes += clip.bytes / 1e6

    @property
    def figures(self) -> dict[str, float]:
        elapsed = max(time.monotonic() - self.began, 1e-3)
        rates = {"windows/s": self.windows / elapsed, "MB/s": self.megabytes / elapsed}
        return {"ok": self.ok, "rejected": self.rejected, **rates}


def _write_indices(
    done: Mapping[Key, Shard], clips: list[Clip], params: Decode, source: Source, out: Path
) -> None:
    normalisation = _measure_normalisation(
        [done[key] for key in sorted(done) if key[0] == "train"], params
    )
    for split in SPLITS:
        index = Index(
            source=source,
            classes=tuple(sorted({clip.label for clip in clips})),
            preprocessing=params.preprocessing,
            normalisation=normalisation,
            shards=tuple(done[key] for key in sorted(done) if key[0] == split),
        )
        write_index(out / split, index)


def _measure_normalisation(train: list[Shard], params: Decode) -> dict[str, Normalisation]:
    moments = moments_of(train, {modality: UNIT[modality] for modality in params.modalities})
    result: dict[str, Normalisation] = {}
    for modality in params.modalities:
        mean, std = moments[modality]
        nothing = params.fill_values[modality]
        fill = 0.0 if nothing is None else (nothing - mean[0]) / std[0]
        fixed = params.normalise.get(modality, FixedNormalisation(mean=mean, std=std, fill=fill))
        result[modality] = Normalisation(
            scale=UNIT[modality], mean=fixed.mean, std=fixed.std, fill=fixed.fill
        )
    return result
