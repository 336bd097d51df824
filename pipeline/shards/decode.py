"""Decode a manifest: clips -> workers -> log-mels -> shards, with every outcome in a ledger."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipeline import media
from pipeline.core.errors import REASONS, MediaError, OutputError, ParamsError
from pipeline.core.files import digest_of, lock_output
from pipeline.core.paths import list_folder, to_path
from pipeline.core.records import SPLITS, UNKNOWN, Clip, Normalisation, Source
from pipeline.shards.index import (
    LEAKS,
    LEDGER,
    Index,
    find_intact_shards,
    shard_of,
    write_index,
)
from pipeline.shards.leaks import write_leaks
from pipeline.shards.ledger import (
    describe_rejects,
    read_ledger,
    refuse_empty,
    refuse_rejects,
    write_ledger,
)
from pipeline.shards.outcomes import (
    ClipOutcome,
    Row,
    Status,
    WindowOutcomes,
    make_outcome,
    refuse_before_decoding,
)
from pipeline.shards.settings import UNIT, DecodeSettings, FixedNormalisation
from pipeline.shards.write import moments_of, write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.shards.engines import EnginePlugin
    from pipeline.shards.index import Shard

# Raise this number when the code that makes samples changes their bytes: shards of another number
# are decoded again.
DECODER = 3
LIBRARIES = ("av", "decord2", "torchaudio")
# Reasons that depend on the machine more than on the clip: the next run tries such clips again.
TRANSIENT = {"missing_file", "timeout", "crash", "memory"}

# (split, name of the shard)
ShardKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class DecodePlan:
    """The work of a run.

    Args:
        clips: of each shard, sorted by id.
        statuses: clip id -> status of the clips that are refused without being decoded.
        params: how the others are decoded.
    """

    clips: Mapping[ShardKey, list[Clip]]
    statuses: Mapping[str, Status]
    params: DecodeSettings

    def input_digest(self, key: ShardKey) -> str:
        """Return the digest of all that decides a shard's bytes.

        Args:
            key: of the shard.
        """
        statuses = [self.statuses.get(clip.clip_id) for clip in self.clips[key]]
        rows = [
            [c.clip_id, c.label, c.start_s, c.end_s, c.sha256, s and [s.reason, s.detail]]
            for c, s in zip(self.clips[key], statuses, strict=True)
        ]
        libraries = [version(name) for name in LIBRARIES]
        return digest_of(
            [
                rows,
                self.params.preprocessing.digest,
                self.params.backends,
                self.params.filters,
                DECODER,
                libraries,
            ]
        )


def decode_all(
    clips: list[Clip],
    out: AnyPath,
    params: DecodeSettings,
    engine: EnginePlugin,
    report: Callable[..., None],
    retry: Collection[str] = (),
    source: Source = UNKNOWN,
) -> dict[str, Any]:
    """Decode clips into shards, keep shards that are up to date, and return the ledger's counts.

    Args:
        clips: of the manifest.
        out: gets <split>/{shard-*.tar, index.json}, ledger.csv and leaks.csv.
        params: section `decode`.
        engine: runs the decoder on batches; the clips of a shard are one batch.
        report: called with (clips done, clips, figures by name) after each clip.
        retry: reasons; shards with a clip or window that failed for one are decoded again.
        source: of the clips; if it changes, shards stay and their indices are updated.

    Raises:
        ParamsError: `retry` names an unknown reason.
        RejectError: `max_reject_fraction` is exceeded; all files are written.
        ShardError: a class has no sample in some split.
        OutputError: the folder holds other files, cannot be written, or is in use.
    """
    out = to_path(out)
    _refuse_unknown_reasons(retry)
    _refuse_foreign(out)
    with lock_output(out):
        done = _update_shards(clips, out, params, engine, report, TRANSIENT | set(retry))
        ledger = [row for key in sorted(done) for row in done[key][1]]
        counts = write_ledger(ledger, clips, write_leaks(ledger, params.leak_bits, out), out)
        refuse_empty(ledger, clips, out)
        _write_indices({key: shard for key, (shard, _) in done.items()}, clips, params, source, out)
    refuse_rejects(counts, describe_rejects(ledger, clips), params.max_reject_fraction, out)
    return counts


def _refuse_unknown_reasons(retry: Collection[str]) -> None:
    unknown = sorted(set(retry) - set(REASONS))
    if unknown:
        raise ParamsError(
            f"--retry {unknown[0]}: the ledger knows no such reason; there are {', '.join(REASONS)}"
        )


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the shards")
    foreign = [
        path
        for path in list_folder(out)
        if path.name not in (*SPLITS, LEDGER, LEAKS) and path.suffix != ".part"
    ]
    if foreign:
        raise OutputError(
            f"{out} holds {foreign[0].name}, which `avdistill decode` did not write; "
            "name another output folder"
        )


def _update_shards(
    clips: list[Clip],
    out: Path,
    params: DecodeSettings,
    engine: EnginePlugin,
    report: Callable[..., None],
    retry: Collection[str],
) -> dict[ShardKey, tuple[Shard, list[Row]]]:
    """Return all shards with their ledger rows, after decoding those that are missing or stale."""
    plan = DecodePlan(
        clips=_group_by_shard(clips, params),
        statuses=refuse_before_decoding(clips, params.drop_duplicates),
        params=params,
    )
    done = _find_reusable_shards(plan, out, retry)
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
    todo = [key for key in sorted(plan.clips) if key not in done]
    return done | dict(_decode_shards(plan, todo, out, engine, report))


def _group_by_shard(clips: list[Clip], params: DecodeSettings) -> dict[ShardKey, list[Clip]]:
    groups: dict[ShardKey, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        groups[clip.split, shard_of(clip.clip_id, params.shards)].append(clip)
    return groups


def _find_reusable_shards(
    plan: DecodePlan, out: Path, retry: Collection[str]
) -> dict[ShardKey, tuple[Shard, list[Row]]]:
    """Return shards of earlier runs that the plan would write again and that need no retry."""
    ledger = read_ledger(out)
    intact = {
        split: find_intact_shards(
            out / split, {key[1]: ledger[key] for key in ledger if key[0] == split}
        )
        for split in SPLITS
    }
    reusable = {}
    for key in plan.clips.keys() & {(split, name) for split in SPLITS for name in intact[split]}:
        shard, rows = intact[key[0]][key[1]]
        current = shard.source == plan.input_digest(key)
        if current and not any(row["reason"] in retry for row in rows):
            reusable[key] = shard, rows
    return reusable


def _decode_shards(
    plan: DecodePlan,
    todo: list[ShardKey],
    out: Path,
    engine: EnginePlugin,
    report: Callable[..., None],
) -> Iterator[tuple[ShardKey, tuple[Shard, list[Row]]]]:
    """Decode clips in any order, and write each shard when its last clip is decoded."""
    params, shard_key = plan.params, {clip.clip_id: key for key in todo for clip in plan.clips[key]}
    outcomes: dict[ShardKey, dict[str, ClipOutcome]] = defaultdict(dict)
    batches: dict[ShardKey, list[Clip]] = defaultdict(list)
    for clip in (clip for key in todo for clip in plan.clips[key]):
        status, key = plan.statuses.get(clip.clip_id), shard_key[clip.clip_id]
        if status is None:
            batches[key].append(clip)
        else:
            outcomes[key][clip.clip_id] = make_outcome(clip, key[1], status, params)
    # Shards whose clips are all refused are complete already.
    yield from (
        _finish_shard(plan, key, outcomes.pop(key), out)
        for key in todo
        if len(outcomes[key]) == len(plan.clips[key])
    )
    total, progress = sum(map(len, batches.values())), DecodeProgress()
    for clip, outcome in _decode_clips(batches, shard_key, params, engine):
        key = shard_key[clip.clip_id]
        outcomes[key][clip.clip_id] = outcome
        progress.add(clip, outcomes[key][clip.clip_id])
        report(progress.ok + progress.rejected, total, **progress.figures)
        if len(outcomes[key]) == len(plan.clips[key]):
            yield _finish_shard(plan, key, outcomes.pop(key), out)


def _decode_clips(
    batches: Mapping[ShardKey, list[Clip]],
    shard_key: Mapping[str, ShardKey],
    params: DecodeSettings,
    engine: EnginePlugin,
) -> Iterator[tuple[Clip, ClipOutcome]]:
    """Yield each clip's outcome; pieces of a long clip are encoded as they come."""
    function: Any = functools.partial(
        media.decode_pieces, tracks=params.tracks, backends=params.backends
    )
    unfinished: dict[str, WindowOutcomes] = {}
    finished = set()
    for clip, result in engine.work(function, batches.values(), **params.limits):
        if clip.clip_id in finished:  # its worker ended behind the last piece
            continue
        shard = shard_key[clip.clip_id][1]
        if isinstance(result, MediaError):
            outcome = make_outcome(clip, shard, result, params)
        else:
            if result.first:  # perhaps again, where a worker had to make room for others
                unfinished[clip.clip_id] = WindowOutcomes()
            windows = unfinished[clip.clip_id]
            windows.add(clip, shard, result.seconds, params)
            if not result.last:
                continue
            outcome = windows.join(clip, shard)
        unfinished.pop(clip.clip_id, None)
        finished.add(clip.clip_id)
        yield clip, outcome


def _finish_shard(
    plan: DecodePlan, key: ShardKey, outcomes: Mapping[str, ClipOutcome], out: Path
) -> tuple[ShardKey, tuple[Shard, list[Row]]]:
    ordered = [outcomes[clip.clip_id] for clip in plan.clips[key]]
    rows = [row for outcome in ordered for row in outcome.rows]
    samples = (sample for outcome in ordered for sample in outcome.samples)
    return key, (write_shard(out / key[0], key[1], plan.input_digest(key), samples, rows), rows)


@dataclass(kw_only=True)
class DecodeProgress:
    """Counts for the progress line.

    Args:
        ok: clips with a sample.
        rejected: clips without one.
        windows: samples.
        megabytes: of media.
        began: when the run began, in seconds of the monotonic clock.
    """

    ok: int = 0
    rejected: int = 0
    windows: int = 0
    megabytes: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def add(self, clip: Clip, outcome: ClipOutcome) -> None:
        """Count one clip.

        Args:
            clip: a row of the manifest.
            outcome: its samples and rows.
        """
        self.ok += bool(outcome.samples)
        self.rejected += not outcome.samples
        self.windows += len(outcome.samples)
        self.megabytes += clip.bytes / 1e6

    @property
    def figures(self) -> dict[str, float]:
        """Figures of the progress line by name."""
        elapsed = max(time.monotonic() - self.began, 1e-3)
        rates = {"windows/s": self.windows / elapsed, "MB/s": self.megabytes / elapsed}
        return {"ok": self.ok, "rejected": self.rejected, **rates}


def _write_indices(
    shards: Mapping[ShardKey, Shard],
    clips: list[Clip],
    params: DecodeSettings,
    source: Source,
    out: Path,
) -> None:
    train = [shards[key] for key in sorted(shards) if key[0] == "train"]
    normalisation = _measure_normalisation(train, params)
    for split in SPLITS:
        index = Index(
            source=source,
            classes=tuple(sorted({clip.label for clip in clips})),
            preprocessing=params.preprocessing.digest,
            preprocessing_params=params.preprocessing.params,
            normalisation=normalisation,
            shards=tuple(shards[key] for key in sorted(shards) if key[0] == split),
        )
        write_index(out / split, index)


def _measure_normalisation(train: list[Shard], params: DecodeSettings) -> dict[str, Normalisation]:
    moments = moments_of(train, {modality: UNIT[modality] for modality in params.modalities})
    result: dict[str, Normalisation] = {}
    for modality in params.modalities:
        mean, std = moments[modality]
        value = params.fill_values[modality]
        fill = 0.0 if value is None else (value - mean[0]) / std[0]
        fixed = params.normalise.get(modality, FixedNormalisation(mean=mean, std=std, fill=fill))
        result[modality] = Normalisation(
            scale=UNIT[modality], mean=fixed.mean, std=fixed.std, fill=fixed.fill
        )
    return result
