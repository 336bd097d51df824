"""A root of urbansound8k, one media file missing."""

from __future__ import annotations

from pathlib import Path

from tests.toys.sources import write


def write_source(root: Path) -> Path:
    rows = [
        (f"{fold}{n}{i}-{n}-0-0.wav", fold, n, i)
        for fold in range(1, 11)
        for n in (0, 1)
        for i in range(2)
    ]
    table = [f"{name},{fold}{n}{i},0.5,4.5,1,{fold},{n},class{n}" for name, fold, n, i in rows]
    lists = {
        "metadata/UrbanSound8K.csv": [
            "slice_file_name,fsID,start,end,salience,fold,classID,class_name",
            *table,
        ]
    }
    return write(root, lists, [f"audio/fold{fold}/{name}" for name, fold, *_ in rows])
