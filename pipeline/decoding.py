"""The decode line: clips -> workers -> log-mels -> shards, with the fate of every clip and window in a ledger."""

from __future__ import annotations

import csv
import functools
from collections import defaultdict
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pipeline import media, pool, shards
from pipeline.errors import MediaError, OutputError, ParamsError, RejectError, ShardError
from pipeline.files import digest_of, new_file, write_json
from pipeline.logmel import LogMel
from pipeline.media import Picture, Second, Sound
from pipeline.params import Count, Positive, Share
from pipeline.records import REASONS, SPLITS, Clip, Normalisation, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    from pipeline.shards import Shard

LEDGER = "ledger.csv"
# Raise this number when the code that makes samples changes their bytes: shards of another number are decoded anew.
DECODER = 1
LIBRARIES = ("av", "decord2", "torchaudio")
# Reasons that say more of the machine than of the clip: such clips are tried again by the next run.
PASSING = {"missing_file", "timeout", "crash", "memory"}
# modality -> factor from what is stored, 8-bit values and decibels, to what mean and std are given in
UNIT: dict[str, float] = {"frame": 1 / 255, "logmel": 1.0}
VERDICTS = ("ok", "failed", "filtered")
COLUMNS = ("clip_id", "second", "split", "label", "shard", "verdict", "reason", "detail")

Modality = Literal["frame", "logmel"]


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A published normalisation, instead of the one measured on the training split."""

    mean: tuple[float, ...]
    std: tuple[Positive, ...]
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

    modalities: tuple[Modality, ...]
    backends: tuple[Literal["decord", "pyav"], ...]
    frame: Picture
    logmel: LogMel
    normalise: dict[Modality, Fixed]
    shards: Count
    deadline_s: Positive
    recycle: Count
    max_reject_fraction: Share

    def __post_init__(self) -> None:
        mel, offsets = self.logmel, self.frame.offsets
        wrong = {
            "modalities and backends name one or more each": not (self.modalities and self.backends),
            "frame.offsets are one or more seconds from 0 to below 1": not offsets or not all(0 <= t < 1 for t in offsets),
            "frame.width and frame.height are 1 or more": min(self.frame.width, self.frame.height) < 1,
            "logmel.n_fft is at most logmel.rate": mel.n_fft > mel.rate,
            "logmel.f_min is below f_max, and f_max at most half of the rate": not mel.f_min < mel.f_max <= mel.rate / 2,
        }
        for expected, violated in wrong.items():
            if violated:
                raise ParamsError(f"decode does not fit: expected that {expected}")

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
        ShardError: a class has no sample in some split.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the shards")
    foreign = [path for path in out.glob("*") if path.name not in (*SPLITS, LEDGER) and path.suffix != ".part"]
    if foreign:
        raise OutputError(f"{out} holds {foreign[0].name}, which `avdistill decode` did not write; name another output folder")
    plan = _plan(clips, params)
    kept = {split: shards.standing(out / split) for split in SPLITS}
    done = {key: kept[key[0]][key[1]] for key in plan if _stands(kept[key[0]].get(key[1]), plan[key], params)}
    todo = {key: rows for key, rows in plan.items() if key not in done}
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
    done |= dict(_decoded(todo, out, params, workers, report))
    ledger = [row for key in sorted(done) for row in done[key].ledger]
    counts = _write_ledger(ledger, clips, out)
    _refuse_empty(ledger, clips, out)
    normalisation = _normalisation([done[key] for key in sorted(done) if key[0] == "train"], params)
    for split in SPLITS:
        index = shards.Index(
            classes=tuple(sorted({clip.label for clip in clips})),
            preprocessing=params.preprocessing,
            normalisation=normalisation,
            shards=tuple(done[key] for key in sorted(done) if key[0] == split),
        )
        shards.write_index(out / split, index)
    _refuse_rejects(counts, out, params)
    return counts


def _plan(clips: list[Clip], params: Decode) -> dict[tuple[str, str], list[Clip]]:
    plan: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        plan[clip.split, shards.shard_of(clip.clip_id, params.shards)].append(clip)
    return plan


def _source(clips: list[Clip], params: Decode) -> str:
    rows = [[c.clip_id, c.label, c.start_s, c.end_s, c.sha256] for c in clips]
    return digest_of([rows, params.preprocessing, params.backends, DECODER, [version(name) for name in LIBRARIES]])


def _stands(shard: Shard | None, clips: list[Clip], params: Decode) -> bool:
    return (
        shard is not None and shard.source == _source(clips, params) and not any(row["reason"] in PASSING for row in shard.ledger)
    )


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


def _refuse_empty(ledger: list[dict[str, Any]], clips: list[Clip], out: Path) -> None:
    written = {(row["split"], row["label"]) for row in ledger if row["verdict"] == "ok"}
    for split, label in sorted({(clip.split, clip.label) for clip in clips} - written):
        reasons = shards.counts(row for row in ledger if (row["split"], row["label"]) == (split, label))["reasons"]
        found = f"no window of class {label!r} in the {split} split could be decoded ({_listed(reasons)})"
        raise ShardError(f"{found}; mend or add clips, {out / LEDGER} names them")


def _normalisation(train: list[Shard], params: Decode) -> dict[str, Normalisation]:
    moments = shards.moments_of(train, {modality: UNIT[modality] for modality in params.modalities})
    result: dict[str, Normalisation] = {}
    for modality in params.modalities:
        mean, std = moments[modality]
        # What stands for nothing: the mean colour of a picture, the floor of a log-mel.
        nothing = {"frame": mean[0], "logmel": params.logmel.floor_db}[modality]
        fixed = params.normalise.get(modality, Fixed(mean=mean, std=std, fill=(nothing - mean[0]) / std[0]))
        result[modality] = Normalisation(scale=UNIT[modality], mean=fixed.mean, std=fixed.std, fill=fixed.fill)
    return result


def _write_ledger(ledger: list[dict[str, Any]], clips: list[Clip], out: Path) -> dict[str, Any]:
    """Write ledger and counts; the two equations of the design hold by construction and are checked all the same."""
    assert {row["reason"] for row in ledger} <= {"", *REASONS}, "the ledger knows these reasons and no others"
    with new_file(out / LEDGER) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ledger)
    tally = shards.counts(ledger)
    counts = {
        "clips": {"rows": len(clips), **{verdict: tally["clips"][verdict] for verdict in VERDICTS}},
        "windows": {"seconds": tally["windows"].total(), **{verdict: tally["windows"][verdict] for verdict in VERDICTS}},
        "reasons": dict(sorted(tally["reasons"].items())),
    }
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        assert counts[noun][total] == sum(counts[noun][verdict] for verdict in VERDICTS), f"{total} = ok + failed + filtered"
    write_json(counts_of(out), counts)
    return counts


def _refuse_rejects(counts: dict[str, Any], out: Path, params: Decode) -> None:
    for noun, total in (("clips", "rows"), ("windows", "seconds")):
        row = counts[noun]
        if row["failed"] > params.max_reject_fraction * row[total]:
            raise RejectError(
                f"{row['failed']} of {row[total]} {noun} were rejected ({_listed(counts['reasons'])}), more than "
                f"decode.max_reject_fraction = {params.max_reject_fraction:g}; the shards are written, see {out / LEDGER}"
            )


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no clips"
