"""A root of esc50, one media file missing."""

from __future__ import annotations

from pathlib import Path

from tests.toys.sources import LABELS, write


def write_source(root: Path) -> Path:
    rows = [
        (f"{fold}-{fold}{n}{i}-A-{n}.wav", fold, n, i)
        for fold in range(1, 6)
        for n in (0, 1)
        for i in range(2)
    ]
    table = [
        f"{name},{fold},{n},{LABELS[n].split(',')[0]},False,{fold}{n}{i},A"
        for name, fold, n, i in rows
    ]
    lists = {"meta/esc50.csv": ["filename,fold,target,category,esc10,src_file,take", *table]}
    return write(root, lists, [f"audio/{name}" for name, *_ in rows])
