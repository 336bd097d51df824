"""Counts of a dataset's shards for readers of a result: sizes, rejects, filters, leaks, licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.core.csv import read_rows
from pipeline.core.records import SPLITS
from pipeline.shards.index import INDEX, LEAKS, LEDGER, read_index

if TYPE_CHECKING:
    from pathlib import Path


def summarise_shards(folder: Path) -> dict[str, Any]:
    """Return JSON values that describe the data; shards without a ledger have fewer of them.

    `source` describes the dataset, and `sizes` is split -> class -> [clips, windows] that are ok.
    `left_out` lists [verdict, reason, split, clips, windows], `leaks` is pair of splits -> pairs of
    near-duplicates.

    Args:
        folder: of the splits, the ledger and the near-duplicates.

    Raises:
        ShardError: an index cannot be read.
    """
    about: dict[str, Any] = {}
    if (folder / "train" / INDEX).is_file():
        about["source"] = asdict(read_index(folder / "train").source)
    if (folder / LEDGER).is_file():
        about |= _count_ledger(folder / LEDGER)
    if (folder / LEAKS).is_file():
        about["leaks"] = _count_leaks(folder / LEAKS)
    return about


def _count_ledger(path: Path) -> dict[str, Any]:
    """Return `sizes` and `left_out`; rows are counted as they are read, since there are many."""
    labels, splits = set(), set()
    windows, left_out = Counter[tuple[str, str]](), Counter[tuple[str, ...]]()
    clips = defaultdict[tuple[str, str], set[str]](set)
    for _, row in read_rows(path, "a ledger, which `avdistill decode` writes"):
        place = row["split"], row["label"]
        splits.add(place[0])
        labels.add(place[1])
        if row["verdict"] != "ok":
            noun = "windows" if row["second"] else "clips"
            left_out[row["verdict"], row["reason"], row["split"], noun] += 1
        elif row["second"]:
            windows[place] += 1
            clips[place].add(row["clip_id"])
    sizes = {
        split: {name: [len(clips[split, name]), windows[split, name]] for name in sorted(labels)}
        for split in SPLITS
        if split in splits
    }
    keys = sorted({key[:3] for key in left_out})
    nouns = ("clips", "windows")
    counts = [[*key, *(left_out[(*key, noun)] for noun in nouns)] for key in keys]
    return {"sizes": sizes, "left_out": counts}


def _count_leaks(path: Path) -> dict[str, int]:
    pairs = Counter(
        f"{row['split']}-{row['other_split']}"
        for _, row in read_rows(path, "near-duplicates, which `avdistill decode` writes")
    )
    return dict(sorted(pairs.items()))
