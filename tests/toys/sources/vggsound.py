"""A root of vggsound, one media file missing."""

from __future__ import annotations

from pathlib import Path

from tests.toys.sources import LABELS, write


def write_source(root: Path) -> Path:
    rows = [
        (f"{s}_-{n}{i}", 10 * i, label, s)
        for s in ("train", "test")
        for n, label in enumerate(LABELS)
        for i in range(6)
    ]
    table = [f'{video},{start},"{label}",{split}' for video, start, label, split in rows]
    return write(
        root,
        {"vggsound.csv": table},
        [f"video/{video}_{start:06d}.mp4" for video, start, *_ in rows],
    )
