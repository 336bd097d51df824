"""A root of ucf101, one media file missing."""

from __future__ import annotations

from pathlib import Path

from tests.toys.project import values
from tests.toys.sources import write


def write_source(root: Path) -> Path:
    classes = values().get_section("ingest.ucf101")["classes"]
    takes = {"train": (8, 9, 10), "test": (1,)}
    rows = {
        split: [f"{c}/v_{c}_g{g:02d}_c01.avi" for c in classes for g in groups]
        for split, groups in takes.items()
    }
    lists = {f"ucfTrainTestlist/{split}list01.txt": lines for split, lines in rows.items()}
    return write(root, lists, [f"UCF-101/{name}" for name in rows["train"] + rows["test"]])
