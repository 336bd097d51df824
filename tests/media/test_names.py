"""Relative names that FFmpeg reads as protocols or patterns are files, at every door to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import media as door
from pipeline.media import FrameTrack, SoundTrack
from tests.toys.decoding import clip_of

NAMES = [
    "12:30.mp4",
    "Movie: part 1.mp4",
    "http:x.mp4",
    "file:x.mp4",
    "pipe:0",
    "concat:..",
    "subfile,,start,0,end,1,,:x.mp4",
    "-dash.mp4",
    "%03d.mp4",
    "x.mp4?y=1#z",
    "[a]*.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_file(
    name: str, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).symlink_to(min(media.rglob("*.mp4")))
    monkeypatch.chdir(tmp_path)
    tracks = {
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.5,)),
        "logmel": SoundTrack(rate=8000),
    }
    for backend in sorted(door.BACKENDS):
        seconds = door.decode(clip_of(Path(name)), tracks, [backend])
        assert all(reading.reason == "" for reading in seconds[0].readings.values())
        (reading,) = door.read(name, tracks["logmel"], [0.0], [backend])
        assert reading.array is not None
    assert door.probe(name).video
