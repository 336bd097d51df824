"""Leakage: find windows of different splits that look and sound alike, by their hashes."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.csv import write_rows
from pipeline.core.records import SPLITS
from pipeline.media.quality import distances
from pipeline.shards.index import LEAKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.shards.outcomes import Row

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
# Hashes of one split that are compared with all of another at once; this bounds memory.
BLOCK = 256
# The distance of a missing hash, which makes two windows neither alike nor different.
ABSENT = -1


def write_leaks(rows: Sequence[Row], max_bits: Mapping[Any, int], out: Path) -> dict[str, int]:
    """Write leaks.csv, a row per pair of near-duplicates across splits.

    It returns the number of pairs by pair of splits.

    Args:
        rows: of the ledger.
        max_bits: hash -> bits in which two windows may differ; a pair must have one hash or more
            in common, and be as near in each of them.
        out: the folder of the shards.
    """
    windows = [row for row in rows if row["second"] and row["verdict"] == "ok"]
    by_split = {split: [row for row in windows if row["split"] == split] for split in SPLITS}
    counts: Counter[str] = Counter()

    def list_pairs() -> Iterator[list[Any]]:
        for one, other in combinations(SPLITS, 2):
            for left, right, bits in _find_pairs(by_split[one], by_split[other], max_bits):
                counts[f"{one}-{other}"] += 1
                cells = [
                    row[name] for row in (left, right) for name in ("clip_id", "second", "split")
                ]
                yield [*cells, *("" if count == ABSENT else count for count in bits)]

    write_rows(out / LEAKS, COLUMNS, list_pairs())
    return {f"{one}-{other}": counts[f"{one}-{other}"] for one, other in combinations(SPLITS, 2)}


def _find_pairs(
    left: list[Row], right: list[Row], max_bits: Mapping[Any, int]
) -> Iterator[tuple[Row, Row, list[int]]]:
    """Yield (row of `left`, row of `right`, differing bits by hash) for each near pair."""
    hashes = {name: (_parse_hashes(left, name), _parse_hashes(right, name)) for name in HASHES}
    for first in range(0, len(left) if right else 0, BLOCK):
        bits = {
            name: _count_differing_bits(one, other, slice(first, first + BLOCK))
            for name, (one, other) in hashes.items()
        }
        near = np.logical_and.reduce([bits[name] <= max_bits[name] for name in HASHES])
        comparable = np.logical_or.reduce([bits[name] != ABSENT for name in HASHES])
        for i, j in np.argwhere(near & comparable):
            yield left[first + i], right[j], [int(bits[name][i, j]) for name in HASHES]


def _count_differing_bits(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], part: slice
) -> np.ndarray:
    """Count differing bits between hashes, int16 [A, B]; ABSENT where one is missing."""
    both = one[1][part][:, None] & other[1][None, :]
    return np.where(both, distances(one[0][part], other[0]).astype(np.int16), np.int16(ABSENT))


def _parse_hashes(rows: list[Row], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64 [N], which rows have one bool [N])."""
    texts = [row[f"{name}_hash"] for row in rows]
    hashes = np.array([int(text or "0", 16) for text in texts], dtype=np.uint64)
    return hashes, np.array([bool(text) for text in texts])
