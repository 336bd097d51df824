"""A root of activitynet, one media file missing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.toys.sources import LABELS, write


def write_source(root: Path) -> Path:
    database = {
        f"{subset[:2]}-{label[0]}{i}": {
            "subset": subset,
            "annotations": [{"segment": [0.5, 4.5], "label": label}] * 2,
        }
        for subset in ("training", "validation")
        for label in LABELS
        for i in range(5)
    }
    lists = {
        "activity_net.v1-3.min.json": [
            json.dumps({"database": {**database, "x": {"subset": "testing", "annotations": []}}})
        ]
    }
    return write(root, lists, [f"{video[:2]}/v_{video}.mkv" for video in database])
