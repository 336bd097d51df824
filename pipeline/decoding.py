"""The decode line: clips -> workers -> log-mels -> shards, with the fate of every clip and window in a ledger."""

from __future__ import annotations

import csv
import functools
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline import media, pool, shards
from pipeline.errors import MediaError, OutputError, RejectError, ShardError
from pipeline.files import digest_of, new_file, write_json
from pipeline.logmel import LogMel
from pipeline.media import Picture, Second, Sound
from pipeline.params import Count, Positive, Share
from pipeline.records import SPLITS, Clip, Normalisation, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    from pipeline.shards import Shard

LEDGER = "ledger.csv"
# modality -> factor from what is stored, 8-bit values and decibels, to what mean and std are given in
UNIT: dict[str, float] = {"frame": 1 / 255, "logmel": 1.0}
COLUMNS = ("clip_id", "second", "split", "label", "shard", "verdict", "reason", "detail")


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A published normalisation, instead of the one measured on the training split."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: float


@dataclass(frozen=True, kw_only=True)
class Decode:
    """Section `decode`.

    Args:
        modalities: those that every sample must have; `backends`: decoders in the order they are asked.
        frame, logmel: what one second becomes.
        normalise: modality -> fixed mean, std and fill; what is absent is measured on train.
        shards: tars per split; `deadline_s`: seconds per clip; `recycle`: clips per worker process.
        max_reject_fraction: of clips and of windows; more than that ends with exit code 3.
    """

    modalities: tuple[Literal["frame", "logmel"], ...]
    backends: tuple[Literal["decord", "pyav"], ...]
    frame: Picture
    logmel: LogMel
    normalise: dict[str, Fixed]
    shards: Count
    deadline_s: Positive
    recycle: Count
    max_reject_fraction: Share

    @property
    def tracks(self) -> dict[str, media.Track]:
        """How each required modality is read from a clip."""
        known: dict[str, media.Track] = {"frame": self.frame, "logmel": Sound(rate=self.logmel.rate)}
        return {modality: known[modality] for modality in self.modalities}

    @property
    def encoders(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """What each required modality's reading becomes on disk."""
        known: dict[str, Callable[[np.ndarray], np.ndarray]] = {"frame": lambda frames: frames, "logmel": self.logmel}
        return {modality: known[modality] for modality in self.modalities}

    @property
    def preprocessing(self) -> str:
        """Digest of what decides a sample's values, given the media."""
        return digest_of([self.modalities, asdict(self.frame), asdict(self.logmel)])


def counts_of(out: Path) -> Path:
    """Where the ledger's counts lie: beside the shards, so that DVC can track them as metrics of their own."""
    return out.with_name(f"{out.name}.json")


def decode_all(clips: list[Clip], out: Path, params: Decode, workers: int, report: Callable[..., None]) -> dict[str, Any]:
    """Decode every clip into `out`/<split>/, keep the shards that stand, write the ledger, return its counts.

    Raises:
        RejectError: more clips or windows were rejected than `max_reject_fraction`; everything is written all the same.
        ShardError: no window of some split could be written.
    """
    foreign = [path for path in out.glob("*") if path.name not in (*SPLITS, LEDGER)]
    if foreign:
        raise OutputError(f"{out} holds {foreign[0].name}, which `avdistill decode` did not write; name another output folder")
    plan = _plan(clips, params)
    kept = {split: shards.standing(out / split) for split in SPLITS}
    done = {key: kept[key[0]][key[1]] for key in plan if _stands(kept[key[0]].get(key[1]), plan[key], params)}
    todo = {key: rows for key, rows in plan.items() if key not in done}
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
    done |= dict(_decoded(todo, out, params, workers, report))
    normalisation = _normalisation([done[key] for key in sorted(done) if key[0] == "train"], params)
    for split in SPLITS:
        index = shards.Index(
            classes=tuple(sorted({clip.label for clip in clips})),
            preprocessing=params.preprocessing,
            normalisation=normalisation,
            shards=tuple(done[key] for key in sorted(done) if key[0] == split),
        )
        shards.write_index(out / split, index)
    ledger = [row for key in sorted(done) for row in done[key].ledger]
    return _close(ledger, clips, out, params)


def _plan(clips: list[Clip], params: Decode) -> dict[tuple[str, str], list[Clip]]:
    plan: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        plan[clip.split, shards.shard_of(clip.clip_id, params.shards)].append(clip)
    return plan


def _source(clips: list[Clip], params: Decode) -> str:
    rows = [[c.clip_id, c.label, c.start_s, c.end_s, c.sha256] for c in clips]
    return digest_of([rows, params.preprocessing, params.backends])


def _stands(shard: Shard | None, clips: list[Clip], params: Decode) -> bool:
    return shard is not None and shard.source == _source(clips, params)


def _decoded(
    plan: dict[tuple[str, str], list[Clip]], out: Path, params: Decode, workers: int, report: Callable[..., None]
) -> Iterator[tuple[tuple[str, str], Shard]]:
    """Decode clips in any order, write each shard when its last clip is in."""
    function = functools.partial(media.decode, tracks=params.tracks, backends=params.backends)
    home = {clip.clip_id: key for key, clips in plan.items() for clip in clips}
    results: dict[tuple[str, str], dict[str, tuple[list[Sample], list[dict[str, Any]]]]] = defaultdict(dict)
    tasks = [clip for key in sorted(plan) for clip in plan[key]]
    tally = {"ok": 0, "rejected": 0, "windows": 0}
    answers = pool.work(function, tasks, workers=workers, deadline_s=params.deadline_s, recycle=params.recycle)
    for done, (clip, result) in enumerate(answers, start=1):
        key = home[clip.clip_id]
        samples, ledger = _samples(clip, key[1], result, params)
        results[key][clip.clip_id] = samples, ledger
        tally["ok" if samples else "rejected"] += 1
        tally["windows"] += len(samples)
        report(done, len(tasks), **tally)
        if len(results[key]) == len(plan[key]):
            parts = [results[key][clip.clip_id] for clip in plan[key]]
            rows = [row for _, ledger in parts for row in ledger]
            written = (sample for samples, _ in parts for sample in samples)
            yield key, shards.write_shard(out / key[0], key[1], _source(plan[key], params), written, rows)
            del results[key]


def _samples(
    clip: Clip, shard: str, result: list[Second] | MediaError, params: Decode
) -> tuple[list[Sample], list[dict[str, Any]]]:
    """The samples of one clip and its ledger rows: one for the clip, one for each of its windows."""
    row = {"clip_id": clip.clip_id, "second": None, "split": clip.split, "label": clip.label, "shard": shard}
    if isinstance(result, MediaError):
        return [], [{**row, "verdict": "failed", "reason": result.reason, "detail": result.detail}]
    samples, windows = [], []
    for second in result:
        fault = next((r for r in second.readings.values() if r.array is None), None)
        if fault is not None:
            windows.append({**row, "second": second.second, "verdict": "failed", "reason": fault.reason, "detail": fault.detail})
            continue
        samples.append(_sample(clip, second, params))
        windows.append({**row, "second": second.second, "verdict": "ok", "reason": "", "detail": ""})
    whole = {**row, "verdict": "ok" if samples else "failed", "reason": "" if samples else windows[0]["reason"], "detail": ""}
    return samples, [whole, *windows]


def _sample(clip: Clip, second: Second, params: Decode) -> Sample:
    readings = {m: reading.array for m, reading in second.readings.items() if reading.array is not None}
    return Sample(
        clip=clip.clip_id,
        second=second.second,
        label=clip.label,
        arrays={modality: params.encoders[modality](array) for modality, array in readings.items()},
        pts=second.readings[params.modalities[0]].pts,
    )


def _normalisation(train: list[Shard], params: Decode) -> dict[str, Normalisation]:
    if not sum(shard.samples for shard in train):
        reasons = shards.counts(row for shard in train for row in shard.ledger)["reasons"]
        raise ShardError(f"no window of the train split could be decoded ({_listed(reasons)}); every clip of it was rejected")
    scale: dict[str, float] = {modality: UNIT[modality] for modality in params.modalities}
    result = {}
    for modality, (mean, std) in shards.moments_of(train, scale).items():
        # What stands for nothing: the mean colour of a picture, the floor of a log-mel.
        nothing = {"frame": mean[0], "logmel": params.logmel.floor_db}[modality]
        fixed = params.normalise.get(modality, Fixed(mean=mean, std=std, fill=(nothing - mean[0]) / std[0]))
        result[modality] = Normalisation(scale=scale[modality], mean=fixed.mean, std=fixed.std, fill=fixed.fill)
    return result


def _close(ledger: list[dict[str, Any]], clips: list[Clip], out: Path, params: Decode) -> dict[str, Any]:
    """Write ledger and counts, check the two equations, and say if too much was rejected."""
    with new_file(out / LEDGER) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ledger)
    tally = shards.counts(ledger)
    assert len(clips) == tally["clips"].total(), "rows = ok + failed + filtered"
    windows = {verdict: tally["windows"][verdict] for verdict in ("ok", "failed", "filtered")}
    counts = {
        "clips": {"rows": len(clips), **{verdict: tally["clips"][verdict] for verdict in ("ok", "failed", "filtered")}},
        "windows": {"seconds": tally["windows"].total(), **windows},
        "reasons": dict(sorted(tally["reasons"].items())),
    }
    write_json(counts_of(out), counts)
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        row = counts[noun]
        if row["failed"] > params.max_reject_fraction * row[total]:
            raise RejectError(
                f"{row['failed']} of {row[total]} {noun} were rejected ({_listed(tally['reasons'])}), more than "
                f"decode.max_reject_fraction = {params.max_reject_fraction:g}; the shards are written, see {out / LEDGER}"
            )
    return counts


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no clips"
