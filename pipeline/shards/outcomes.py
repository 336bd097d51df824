"""The outcome of each clip and window: a sample, or the reason why there is none.

A reason is known before decoding, or comes from the decoder or from a filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MediaError
from pipeline.core.paths import escape_bytes
from pipeline.core.records import SPLITS, Clip, Sample
from pipeline.media import quality
from pipeline.media.quality import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.media import Reading, Second
    from pipeline.shards.settings import DecodeSettings

# A row of the ledger, all of it text; `second` is empty in the row of a whole clip.
Row = dict[str, str]
COLUMNS = ("clip_id", "second", "split", "label", "shard", "verdict", "reason", "detail", *MEASURES)


@dataclass(frozen=True, kw_only=True)
class Status:
    """The verdict on a clip or window.

    Args:
        verdict: ok, failed or filtered.
        reason: a word of the ledger; empty if ok.
        detail: a sentence about the reason.
    """

    verdict: str
    reason: str = ""
    detail: str = ""


OK = Status(verdict="ok")


@dataclass(frozen=True, kw_only=True)
class ClipOutcome:
    """The outcome of one clip.

    Args:
        samples: of its windows that are ok.
        rows: of the ledger, one for the clip and one for each of its windows.
    """

    samples: list[Sample]
    rows: list[Row]


def refuse_before_decoding(clips: Iterable[Clip], drop_duplicates: bool) -> dict[str, Status]:
    """Return clip id -> status of the clips that are refused without being decoded.

    Args:
        clips: rows of the manifest.
        drop_duplicates: refuse all but one of the clips with the same bytes and span.
    """
    clips = list(clips)
    statuses = {clip.clip_id: status for clip in clips if (status := _check_clip(clip)) is not OK}
    return {**_find_duplicates(clips), **statuses} if drop_duplicates else statuses


def make_outcome(
    clip: Clip, shard: str, result: list[Second] | MediaError | Status, params: DecodeSettings
) -> ClipOutcome:
    """Turn a clip's result into samples for its shard and rows for the ledger.

    Args:
        clip: a row of the manifest.
        shard: its name.
        result: the decoder's windows or error, or a status that is known without decoding.
        params: filters and encoders.
    """
    if isinstance(result, MediaError):
        result = Status(verdict="failed", reason=result.reason, detail=result.detail)
    if isinstance(result, Status):
        return ClipOutcome(samples=[], rows=[_make_row(clip, shard, "", result, {})])
    windows = WindowOutcomes()
    windows.add(clip, shard, result, params)
    return windows.join(clip, shard)


@dataclass(kw_only=True)
class WindowOutcomes:
    """The windows of a clip whose pieces arrive one by one.

    Args:
        samples: of the windows that are ok.
        rows: of the ledger, one per window.
        statuses: one per window.
    """

    samples: list[Sample] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def add(self, clip: Clip, shard: str, seconds: list[Second], params: DecodeSettings) -> None:
        """Judge a piece's windows, and encode those that are ok.

        Args:
            clip: a row of the manifest.
            shard: its name.
            seconds: the windows.
            params: filters and encoders.
        """
        for second in seconds:
            measured = _collect_measures(second.readings)
            status = _check_window(second.readings, measured, params)
            if status is OK:
                self.samples.append(_make_sample(clip, second, measured, params))
            self.rows.append(_make_row(clip, shard, str(second.second), status, measured))
            self.statuses.append(status)

    def join(self, clip: Clip, shard: str) -> ClipOutcome:
        """Return the clip's outcome.

        A clip without a sample has the reason of its first failure, or else of its first filter.

        Args:
            clip: a row of the manifest.
            shard: its name.
        """
        failed_first = min(self.statuses, key=lambda status: status.verdict != "failed")
        worst = OK if self.samples else failed_first
        summary = Status(verdict=worst.verdict, reason=worst.reason)
        rows = [_make_row(clip, shard, "", summary, {}), *self.rows]
        return ClipOutcome(samples=self.samples, rows=rows)


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
    """Refuse all but one of the clips with the same bytes and span; the most held-out one stays."""
    kept: dict[tuple[str, float, float | None], Clip] = {}
    statuses = {}
    for clip in sorted(clips, key=lambda clip: (-SPLITS.index(clip.split), clip.clip_id)):
        if not clip.sha256:
            continue
        first = kept.setdefault((clip.sha256, clip.start_s, clip.end_s), clip)
        if first is not clip:
            detail = f"the same bytes and span as {first.clip_id} of the {first.split} split"
            statuses[clip.clip_id] = Status(verdict="filtered", reason="duplicate", detail=detail)
    return statuses


def _collect_measures(readings: Mapping[str, Reading]) -> dict[str, Any]:
    return {name: value for reading in readings.values() for name, value in reading.quality.items()}


def _check_window(
    readings: Mapping[str, Reading], measured: dict[str, Any], params: DecodeSettings
) -> Status:
    failed = next((reading for reading in readings.values() if reading.array is None), None)
    if failed is not None:
        return Status(verdict="failed", reason=failed.reason, detail=failed.detail)
    reason, detail = quality.apply_filters(measured, params.filters)
    return Status(verdict="filtered", reason=reason, detail=detail) if reason else OK


def _make_sample(
    clip: Clip, second: Second, measured: dict[str, Any], params: DecodeSettings
) -> Sample:
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


def _make_row(clip: Clip, shard: str, second: str, status: Status, measured: dict[str, Any]) -> Row:
    values = (
        clip.clip_id,
        second,
        clip.split,
        clip.label,
        shard,
        status.verdict,
        status.reason,
        # Without the folder, so that the ledger has the same bytes wherever the media lie.
        escape_bytes(" ".join(status.detail.replace(clip.path, Path(clip.path).name).split())),
        *(str(measured.get(name, "")) for name in MEASURES),
    )
    return dict(zip(COLUMNS, values, strict=True))
