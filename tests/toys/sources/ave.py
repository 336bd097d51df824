"""A root of ave, one media file missing."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.records import SPLITS
from tests.toys.sources import LABELS, write


def write_source(root: Path) -> Path:
    rows = {
        s: [f"{label}&{s}-{label[0]}{i}&good&{i}&{i + 3}" for label in LABELS for i in range(3)]
        for s in SPLITS
    }
    lists = {f"{split}Set.txt": rows[split] for split in SPLITS}
    everything = [row for split in SPLITS for row in rows[split]]
    return write(
        root,
        {"Annotations.txt": everything, **lists},
        [f"AVE/{row.split('&')[1]}.mp4" for row in everything],
    )
