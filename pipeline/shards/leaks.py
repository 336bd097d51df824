"""Leakage: windows of different splits that look and sound alike, found by their hashes."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.csv import write_rows
from pipeline.core.records import SPLITS
from pipeline.media.quality import distances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.shards.outcomes import Row

LEAKS = "leaks.csv"
COLUMNS = (
    "clip_id",
    "second",
    "split",
    "other_clip_id",
    "other_second",
    "other_split",
    "frame_bits",
    "sound_bits",
)
HASHES = ("frame", "sound")
# Hashes of one split that are compared with all of another at once; bounds memory.
ROWS = 256
# What is no hash is this far from everything: it neither makes two windows alike nor keeps them apart.
ABSENT = -1


def write_leaks(rows: Sequence[Row], most: Mapping[Any, int], out: Path) -> dict[str, int]:
    """Write `out`/leaks.csv, a row per pair of near-duplicates across splits; return how many there are for each pair of splits.

    Args:
        most: hash -> bits in which two windows may differ; a pair must be as near in each hash that both have, and have one.
    """
    windows = [row for row in rows if row["second"] and row["verdict"] == "ok"]
    written = {split: [row for row in windows if row["split"] == split] for split in SPLITS}
    counts: Counter[str] = Counter()

    def list_pairs() -> Iterator[list[Any]]:
        for one, other in combinations(SPLITS, 2):
            for left, right, bits in _find_pairs(written[one], written[other], most):
                counts[f"{one}-{other}"] += 1
                places = [
                    row[name] for row in (left, right) for name in ("clip_id", "second", "split")
                ]
                yield [*places, *("" if count == ABSENT else count for count in bits)]

    write_rows(out / LEAKS, COLUMNS, list_pairs())
    return {f"{one}-{other}": counts[f"{one}-{other}"] for one, other in combinations(SPLITS, 2)}


def _find_pairs(
    ours: list[Row], theirs: list[Row], most: Mapping[Any, int]
) -> Iterator[tuple[Row, Row, list[int]]]:
    hashes = {name: (_parse_hashes(ours, name), _parse_hashes(theirs, name)) for name in HASHES}
    for first in range(0, len(ours) if theirs else 0, ROWS):
        apart = {
            name: _count_differing_bits(mine, theirs_, slice(first, first + ROWS))
            for name, (mine, theirs_) in hashes.items()
        }
        near = np.logical_and.reduce([apart[name] <= most[name] for name in HASHES])
        some = np.logical_or.reduce([apart[name] != ABSENT for name in HASHES])
        for left, right in np.argwhere(near & some):
            yield (
                ours[first + left],
                theirs[right],
                [int(apart[name][left, right]) for name in HASHES],
            )


def _count_differing_bits(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], part: slice
) -> np.ndarray:
    """Bits between hashes [A, B], ABSENT where one is missing."""
    both = ours[1][part][:, None] & theirs[1][None, :]
    return np.where(both, distances(ours[0][part], theirs[0]).astype(np.int16), np.int16(ABSENT))


def _parse_hashes(rows: list[Row], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(uint64 [N], whether there is a hash [N])."""
    texts = [row[f"{name}_hash"] for row in rows]
    return np.array([int(text or "0", 16) for text in texts], dtype=np.uint64), np.array(
        [bool(text) for text in texts]
    )
