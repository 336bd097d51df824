"""Counts of a dataset's shards, for readers of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.csv import write_rows
from pipeline.shards.index import LEAKS, LEDGER
from pipeline.shards.leaks import COLUMNS as PAIRS
from pipeline.shards.outcomes import COLUMNS
from pipeline.shards.summary import summarise_shards

if TYPE_CHECKING:
    from pathlib import Path

# clip_id, second, split, label, shard, verdict, reason
LINES = (
    ("a", "", "train", "cat, small", "s", "ok", ""),
    ("a", "0", "train", "cat, small", "s", "ok", ""),
    ("a", "1", "train", "cat, small", "s", "filtered", "silent"),
    ("a", "2", "train", "cat, small", "s", "ok", ""),
    ("b", "", "train", "dog", "s", "failed", "decode_error"),
    ("c", "", "test", "dog", "s", "filtered", "black"),
    ("c", "0", "test", "dog", "s", "filtered", "black"),
)


def test_sizes_rejects_and_leaks_are_counted(tmp_path: Path) -> None:
    write_rows(tmp_path / LEDGER, COLUMNS, LINES)
    write_rows(tmp_path / LEAKS, PAIRS, [("a", "0", "train", "c", "0", "test", "1", "")] * 2)
    assert summarise_shards(tmp_path) == {
        "sizes": {
            "train": {"cat, small": [1, 2], "dog": [0, 0]},
            "test": {"cat, small": [0, 0], "dog": [0, 0]},
        },
        "left_out": [
            ["failed", "decode_error", "train", 1, 0],
            ["filtered", "black", "test", 1, 1],
            ["filtered", "silent", "train", 0, 1],
        ],
        "leaks": {"train-test": 2},
    }


def test_shards_without_a_ledger_have_no_counts(tmp_path: Path) -> None:
    assert summarise_shards(tmp_path) == {}
