"""The generated dataset: real clips from a seed, whole or absent, both modalities informative."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.core.errors import ParamsError, SourceError
from pipeline.datasets.adapters.generated import EVENTS, Dataset
from pipeline.media import FrameTrack, SoundTrack, Track, decode, probe

if TYPE_CHECKING:
    from pipeline.core.records import Clip

TRACKS: dict[str, Track] = {
    "frame": FrameTrack(width=32, height=32, crop=True, offsets=(0.5,)),
    "sound": SoundTrack(rate=16000),
}
TOY = Dataset(train=2, val=0, test=1, seconds=1.0, pixels=64, fps=12, rate=16000, seed=0, noise=0.3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return TOY.clips(tmp_path_factory.mktemp("generated") / "media")


def read(clip: Clip) -> dict[str, np.ndarray]:
    (second,) = decode(clip, TRACKS, ["decord", "pyav"])
    return {
        modality: reading.array
        for modality, reading in second.readings.items()
        if reading.array is not None
    }


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_every_split_and_class_has_its_number_of_clips(clips: list[Clip]) -> None:
    found = sorted((clip.split, clip.label) for clip in clips)
    assert found == sorted(
        [("train", label) for label in EVENTS] * 2 + [("test", label) for label in EVENTS]
    )


def test_every_clip_is_h264_and_aac(clips: list[Clip]) -> None:
    for clip in clips:
        with Path(clip.path).open("rb") as stream:
            boxes = stream.read()
        assert b"avc1" in boxes and b"mp4a" in boxes, clip.clip_id


def test_picture_and_sound_both_last_the_whole_clip(clips: list[Clip]) -> None:
    for clip in clips:
        header = probe(clip.path)
        assert header.video is not None and header.audio is not None
        assert (header.video.start, header.audio.start) == (0, 0)
        assert header.video.end == pytest.approx(1, abs=0.01) and header.audio.end == pytest.approx(
            1, abs=0.01
        )
        assert read(clip).keys() == TRACKS.keys()


def test_the_same_seed_gives_the_same_frames_and_sound(clips: list[Clip], tmp_path: Path) -> None:
    again = replace(TOY, train=1, test=0).clips(tmp_path / "again")
    # One clip per class in place of two: a clip does not depend on how many others there are.
    before = {clip.clip_id: clip for clip in clips}
    for clip in again:
        first, second = read(before[clip.clip_id]), read(clip)
        assert all(np.array_equal(first[modality], second[modality]) for modality in TRACKS), (
            clip.clip_id
        )


def test_another_seed_gives_other_frames_and_sound(clips: list[Clip], tmp_path: Path) -> None:
    other = replace(TOY, train=1, test=0, seed=1).clips(tmp_path / "other")
    before = {clip.clip_id: clip for clip in clips}
    for clip in other:
        first, second = read(before[clip.clip_id]), read(clip)
        assert not any(np.array_equal(first[modality], second[modality]) for modality in TRACKS), (
            clip.clip_id
        )


def test_no_two_clips_share_a_frame_or_a_sound(clips: list[Clip]) -> None:
    for one, other in combinations(map(read, clips), 2):
        assert not any(np.array_equal(one[modality], other[modality]) for modality in TRACKS)


def test_looks_and_sounds_are_shared_by_different_classes() -> None:
    assert len({event.look for event in EVENTS.values()}) < len(EVENTS)
    assert len({event.timbre for event in EVENTS.values()}) < len(EVENTS)
    assert len(set(EVENTS.values())) == len(EVENTS)


def test_a_folder_that_exists_is_listed_as_it_is(clips: list[Clip], tmp_path: Path) -> None:
    root = tmp_path / "media"
    toy = replace(TOY, train=1, test=0)
    first, before = toy.clips(root), files(root)
    assert toy.clips(root) == first
    assert files(root) == before


def test_a_folder_made_with_other_parameters_is_refused(tmp_path: Path) -> None:
    replace(TOY, train=1, test=0).clips(tmp_path / "media")
    with pytest.raises(SourceError, match="remove the folder to generate it again"):
        replace(TOY, train=1, test=0, seed=7).clips(tmp_path / "media")


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(Dataset):
        def write(self, path: Path, split: str, label: str, index: int) -> None:
            if label == "pinball":
                raise KeyboardInterrupt
            super().write(path, split, label, index)

    with pytest.raises(KeyboardInterrupt):
        Interrupted(**vars(TOY)).clips(tmp_path / "media")
    assert files(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"pixels": 33}, {"seconds": 0.5}, {"seed": -1}, {"noise": 1.5}])
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParamsError, match="expected even pixels"):
        Dataset(**{**vars(TOY), **wrong})
