"""A root of music21, one media file missing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.toys.sources import write


def write_source(root: Path) -> Path:
    videos = {label: [f"-{label[0]}_{i}" for i in range(10)] for label in ("cello", "tuba")}
    media = [f"solo/{label}/{video}.mp4" for label, ids in videos.items() for video in ids]
    return write(
        root,
        {"MUSIC21_solo_videos.json": [json.dumps({"version": 2.0, "videos": videos}, indent=1)]},
        media,
    )
