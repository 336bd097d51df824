"""Hard media: no file crashes or hangs a run, and each ends as a person would have judged it.

hard_media.csv has a row per file, and a column each for picture and sound, sound alone and picture
alone. A word is the reason why the whole file is rejected; counts are those of its seconds, e.g.
`2 ok, 1 truncated_audio`.
"""

from __future__ import annotations

import csv
import functools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline import media
from pipeline.core import workers as pool
from pipeline.core.errors import REASONS, MediaError
from pipeline.core.records import Clip
from pipeline.shards.settings import DecodeSettings
from tests.toys.decoding import clip_of
from tests.toys.project import REAL_DATA, values

FOLDER = REAL_DATA / "hard_media" / "open"
TABLES = {FOLDER / name for name in ("inventory.csv", "origin.csv", "derived/cases.csv")}
# VC-1 with B-frames in MOV: of its time stamps only decord makes sense.
NO_COMPOSITION_TIMES = {FOLDER / "fate" / "vc1-wmapro.mp4"}
SETS = {"pair": ["frame", "logmel"], "sound": ["logmel"], "picture": ["frame"]}
with Path(__file__).with_name("hard_media.csv").open(encoding="utf-8", newline="") as stream:
    PINNED = list(csv.DictReader(stream))


def message(result: list[media.Second] | MediaError) -> str:
    """A file's outcome: its reason, or the counts of its seconds by reason."""
    if isinstance(result, MediaError):
        return result.reason
    faults = [
        next((r.reason for r in second.readings.values() if r.array is None), "ok")
        for second in result
    ]
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(faults).items())


def hard_clips() -> list[Clip]:
    return [
        clip_of(path) for path in sorted(FOLDER.rglob("*")) if path.is_file() and path not in TABLES
    ]


def verdicts(modalities: list[str]) -> dict[str, str]:
    """What the default decoding makes of every file, in worker processes."""
    params = values(f"decode.modalities={modalities}").build("decode", DecodeSettings)
    function = functools.partial(media.decode, tracks=params.tracks, backends=params.backends)
    results = pool.work(
        function,
        hard_clips(),
        workers=2,
        deadline_s=params.deadline_s,
        memory_mb=params.memory_mb,
        recycle=params.recycle,
    )
    return {
        Path(clip.path).relative_to(FOLDER).as_posix(): message(result) for clip, result in results
    }


@pytest.mark.skipif(not FOLDER.exists(), reason="the hard files are not here")
@pytest.mark.parametrize("needed", SETS)
def test_every_hard_file_ends_as_a_person_would_judge_it(needed: str) -> None:
    assert verdicts(SETS[needed]) == {row["file"]: row[needed] for row in PINNED}


def answers(clip: Clip, track: media.Track) -> dict[str, list[media.Reading] | str]:
    """What each decoder by itself makes of a file, or why not."""
    found: dict[str, list[media.Reading] | str] = {}
    for backend in media.BACKENDS:
        try:
            found[backend] = [
                second.readings["it"] for second in media.decode(clip, {"it": track}, [backend])
            ]
        except MediaError as error:
            found[backend] = error.reason
    return found


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.exists(), reason="the hard files are not here")
@pytest.mark.parametrize("modality", ["frame", "logmel"])
def test_the_two_decoders_agree_wherever_both_answer(modality: str) -> None:
    track, agreed = values().build("decode", DecodeSettings).tracks[modality], 0
    function = functools.partial(answers, track=track)
    for clip, found in pool.work(
        function, hard_clips(), workers=2, deadline_s=60.0, memory_mb=4096, recycle=500
    ):
        assert not isinstance(found, MediaError), clip.path
        one, other = found.values()
        if (
            isinstance(one, str)
            or isinstance(other, str)
            or Path(clip.path) in NO_COMPOSITION_TIMES
        ):
            continue
        for first, second in zip(one, other, strict=True):
            assert first.reason == second.reason, clip.path
            if first.array is not None and second.array is not None:
                assert modality == "logmel" or first.pts == second.pts, clip.path
                scale = 255 if modality == "frame" else max(float(np.abs(second.array).max()), 0.01)
                assert np.abs(first.array.astype(float) - second.array).mean() < 0.005 * scale, (
                    clip.path
                )
                agreed += 1
    assert agreed > 100


def test_the_verdicts_are_words_of_the_ledger_and_none_is_a_crash() -> None:
    words = {
        part.split()[-1] for row in PINNED for needed in SETS for part in row[needed].split(", ")
    }
    assert words <= {"ok", *REASONS} - {"crash", "timeout", "memory"}
    assert len(PINNED) == len({row["file"] for row in PINNED}) == 250
