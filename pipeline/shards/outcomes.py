"""What becomes of a clip and its windows: known before it is decoded, said by the decoder, or by a filter."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MediaError
from pipeline.core.records import SPLITS, Clip, Sample
from pipeline.media import quality
from pipeline.media.quality import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.media import Reading, Second
    from pipeline.shards.settings import Decode

# A row of the ledger, all of it text; `second` is empty in the row of a whole clip.
Row = dict[str, str]
COLUMNS = ("clip_id", "second", "split", "label", "shard", "verdict", "reason", "detail", *MEASURES)


@dataclass(frozen=True, kw_only=True)
class Status:
    """A verdict (ok, failed or filtered), its reason and what there is to say of it."""

    verdict: str
    reason: str = ""
    detail: str = ""


OK = Status(verdict="ok")


@dataclass(frozen=True, kw_only=True)
class ClipOutcome:
    """The samples of one clip, and its rows: one for the clip, one for each of its windows."""

    samples: list[Sample]
    rows: list[Row]


def refuse_before_decoding(clips: Iterable[Clip], drop_duplicates: bool) -> dict[str, Status]:
    """clip id -> the fate of a clip that need not be decoded to be refused."""
    clips = list(clips)
    fates = {clip.clip_id: fate for clip in clips if (fate := _check_clip(clip)) is not OK}
    return {**_find_duplicates(clips), **fates} if drop_duplicates else fates


def limit_clips(clips: Iterable[Clip], count: int) -> list[Clip]:
    """At most `count` of the clips: of each class and split in turn, so that a trial run has some of all."""
    piles: dict[tuple[str, str], int] = defaultdict(int)
    places = []
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        pile = (clip.split, clip.label)
        places.append((piles[pile], *pile, clip))
        piles[pile] += 1
    return [clip for *_, clip in sorted(places, key=lambda place: place[:3])[:count]]


def make_outcome(
    clip: Clip, shard: str, result: list[Second] | MediaError | Status, params: Decode
) -> ClipOutcome:
    """What a clip's result means for the shard and for the ledger."""
    if isinstance(result, MediaError):
        result = Status(verdict="failed", reason=result.reason, detail=result.detail)
    if isinstance(result, Status):
        return ClipOutcome(samples=[], rows=[_make_row(clip, shard, "", result, {})])
    samples, windows, fates = [], [], []
    for second in result:
        measured = _collect_measures(second.readings)
        fate = _check_window(second.readings, measured, params)
        if fate is OK:
            samples.append(_make_sample(clip, second, measured, params))
        windows.append(_make_row(clip, shard, str(second.second), fate, measured))
        fates.append(fate)
    # Of a clip without a sample the first failure speaks, or else the first filter.
    whole = OK if samples else min(fates, key=lambda fate: fate.verdict != "failed")
    return ClipOutcome(
        samples=samples,
        rows=[
            _make_row(clip, shard, "", Status(verdict=whole.verdict, reason=whole.reason), {}),
            *windows,
        ],
    )


def _check_clip(clip: Clip) -> Status:
    end = math.inf if clip.end_s is None else clip.end_s
    if not (math.isfinite(clip.start_s) and 0 <= clip.start_s <= end):
        return Status(
            verdict="failed", reason="bad_span", detail=f"the span is {clip.start_s:g} to {end:g} s"
        )
    if ".." in Path(clip.path).parts:
        return Status(
            verdict="failed", reason="outside_root", detail="the path leaves the manifest's folder"
        )
    return OK


def _find_duplicates(clips: list[Clip]) -> dict[str, Status]:
    """All but one of the clips with the same bytes and span: the one that stays is of the most held-out split."""
    kept: dict[tuple[str, float, float | None], Clip] = {}
    fates = {}
    for clip in sorted(clips, key=lambda clip: (-SPLITS.index(clip.split), clip.clip_id)):
        if not clip.sha256:
            continue
        first = kept.setdefault((clip.sha256, clip.start_s, clip.end_s), clip)
        if first is not clip:
            said = f"the same bytes and span as {first.clip_id} of the {first.split} split"
            fates[clip.clip_id] = Status(verdict="filtered", reason="duplicate", detail=said)
    return fates


def _collect_measures(readings: Mapping[str, Reading]) -> dict[str, Any]:
    return {name: value for reading in readings.values() for name, value in reading.quality.items()}


def _check_window(
    readings: Mapping[str, Reading], measured: dict[str, Any], params: Decode
) -> Status:
    fault = next((reading for reading in readings.values() if reading.array is None), None)
    if fault is not None:
        return Status(verdict="failed", reason=fault.reason, detail=fault.detail)
    reason, detail = quality.apply_filters(measured, params.filters)
    return Status(verdict="filtered", reason=reason, detail=detail) if reason else OK


def _make_sample(clip: Clip, second: Second, measured: dict[str, Any], params: Decode) -> Sample:
    readings = {
        m: reading.array for m, reading in second.readings.items() if reading.array is not None
    }
    return Sample(
        clip=clip.clip_id,
        second=second.second,
        label=clip.label,
        arrays={modality: params.encoders[modality](array) for modality, array in readings.items()},
        pts=second.readings[params.modalities[0]].pts,
        quality=measured,
    )


def _make_row(clip: Clip, shard: str, second: str, fate: Status, measured: dict[str, Any]) -> Row:
    place = (
        clip.clip_id,
        second,
        clip.split,
        clip.label,
        shard,
        fate.verdict,
        fate.reason,
        " ".join(fate.detail.split()),
    )
    return dict(
        zip(COLUMNS, (*place, *(str(measured.get(name, "")) for name in MEASURES)), strict=True)
    )
