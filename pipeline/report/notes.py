"""Sentences that a reader of the scores must know: few test clips, blank picks, odd data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.report.data_tables import list_leaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Summary

# Fewer test clips, or a wider half of an interval in percentage points, ask for a warning.
FEW_CLIPS, WIDE = 300, 5.0
# Standard normal quantile of a 95 % interval.
Z = 1.96
# modality -> an instance of it without any contrast
BLANK = {"logmel": "a silent sound", "frame": "a picture of one colour", "wave": "a silent sound"}


def list_notes(dataset: DatasetResults, results: Results) -> list[str]:
    """Return the sentences about one dataset, the most important first.

    Args:
        dataset: its data and cells.
        results: the headline.
    """
    joint = [cell.entries[results.headline].joint for cell in dataset.cells.values()]
    few = warn_of_few_clips(dataset.test_clips, joint)
    return [*few, *_warn_of_leaks(dataset), *_list_blank(dataset)]


def warn_of_few_clips(clips: int, joint: Sequence[Summary]) -> list[str]:
    """Return a warning with the number of clips and the width of the intervals, if they ask for it.

    Args:
        clips: source clips of the test split; 0 if they are not known.
        joint: the rows that are compared, as fractions.
    """
    if not clips:
        return []
    halves = [
        x.scale * (x.high - x.low) / 2 for x in joint if x.low is not None and x.high is not None
    ]
    half = max(halves) if halves else 100 * _wilson_half(0.5, clips)
    if clips >= FEW_CLIPS and half <= WIDE:
        return []
    few = "Few test clips" if clips < FEW_CLIPS else "Wide intervals"
    return [
        f"{few}: n = {clips}. A 95 % interval is up to ±{half:.0f} points wide; "
        "smaller differences between two rows may be chance."
    ]


def _wilson_half(share: float, count: int) -> float:
    """Return half the width of the Wilson interval of a share of so many clips."""
    spread = share * (1 - share) / count + Z**2 / (4 * count**2)
    return Z * math.sqrt(spread) / (1 + Z**2 / count)


def _warn_of_leaks(dataset: DatasetResults) -> list[str]:
    leaks = dataset.data.leaks if dataset.data else None
    if not (pairs := list_leaks(leaks or {})):
        return []
    return [
        f"Near-duplicates across splits: {pairs}. The file leaks.csv of the shards names the "
        "pairs; scores may be too high."
    ]


def _list_blank(dataset: DatasetResults) -> list[str]:
    """Return a sentence per artifact that holds silent sounds or pictures of one colour."""
    sentences = []
    for cell in dataset.cells.values():
        for artifact, counts in cell.blank.items():
            parts = [
                f"{count} of {of} instances hold {BLANK.get(modality, f'a constant {modality}')}"
                for modality, (count, of) in counts.items()
            ]
            name = artifact.removesuffix(".h5")
            sentences.append(f"{cell.method}, IPC {cell.ipc}, {name}: {'; '.join(parts)}.")
    return sentences
