"""Settings, clips and tasks for decoding."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.files import file_digest
from pipeline.core.records import Clip
from pipeline.shards.settings import DecodeSettings
from tests.toys.project import values

DECODE = values().build("decode", DecodeSettings)


def digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): file_digest(path)
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def clip_of(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Clip:
    return Clip(
        clip_id="x",
        path=str(path),
        label="a",
        split="train",
        start_s=start_s,
        end_s=end_s,
        group="x",
        bytes=0,
        sha256="",
    )
