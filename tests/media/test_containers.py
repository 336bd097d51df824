"""Every container that ingest lists is decoded into the right seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import media
from pipeline.datasets.listing import SOUND, VIDEO
from tests.toys.containers import CONTAINERS, LEVELS, LOUDNESS, write_container
from tests.toys.decoding import DECODE, clip_of

FILES = [
    (suffix, muxer, video, audio)
    for muxer, video, audio, suffixes in CONTAINERS
    for suffix in suffixes.split()
]
# PyAV cannot write these: examples of all but ape were decoded by hand.
UNTRIED = {".amr", ".amv", ".ape", ".dts", ".dv", ".gsm", ".sph", ".spx"}


@pytest.mark.parametrize(("suffix", "muxer", "video", "audio"), FILES)
def test_a_container_gives_its_seconds(
    suffix: str, muxer: str, video: str, audio: str, tmp_path: Path
) -> None:
    path = write_container(tmp_path / f"x{suffix.upper()}", muxer, video, audio)
    tracks: dict[str, media.Track] = {"frame": DECODE.frame} if video else {}
    tracks |= {"wave": media.SoundTrack(rate=16000)} if audio else {}
    seconds = media.decode(clip_of(path), tracks, ("decord", "pyav"))[:2]
    arrays = [{name: one.array for name, one in both.readings.items()} for both in seconds]
    if video:
        levels = [np.mean(both["frame"]) for both in arrays]
        assert levels == pytest.approx(LEVELS, abs=12)
    if audio:
        peaks = [np.quantile(np.abs(both["wave"]), 0.98) for both in arrays]
        assert peaks == pytest.approx(LOUDNESS, rel=0.25)


def test_every_listed_suffix_is_tried() -> None:
    tried = {suffix for suffix, *_ in FILES}
    assert tried | UNTRIED == VIDEO | SOUND and not tried & UNTRIED
    assert {suffix for suffix, _, video, _ in FILES if video} == VIDEO - UNTRIED
