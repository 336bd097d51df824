"""Sentences about a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.records import NOT_STATED, Clip, Source
from pipeline.datasets.summary import describe_changes, describe_manifest


def clips(label: str, train: int, test: int) -> list[Clip]:
    return [
        Clip(
            clip_id=f"{label}-{number}",
            path=f"{label}/{number}.mp4",
            label=label,
            split="train" if number < train else "test",
            start_s=0,
            end_s=None,
            group=f"{label}/{number}",
            bytes=1,
            sha256="0",
        )
        for number in range(train + test)
    ]


def described(rows: list[Clip]) -> str:
    source = Source(name="mine", home="", licence=NOT_STATED, citation="")
    return describe_manifest(rows, source, Path("manifest.csv"))


def test_a_class_with_few_clips_in_train_is_named() -> None:
    text = described([*clips("dog", 10, 2), *clips("rain", 2, 10)])
    assert "train has few clips of 1 of 2 classes (rain 2 of 12; 50% of all clips)" in text


@pytest.mark.parametrize(("train", "test"), [(9, 3), (1, 3)])
def test_a_class_near_the_others_or_of_few_clips_is_not(train: int, test: int) -> None:
    assert "few clips" not in described([*clips("dog", 10, 2), *clips("rain", train, test)])


def rename(clip: Clip, split: str) -> Clip:
    return replace(clip, clip_id="rain-new", path="rain/new.mp4", split=split)


@pytest.mark.parametrize(
    ("split", "rest"), [("train", ""), ("test", ", 1 in another split (rain-new (train to test))")]
)
def test_a_renamed_clip_is_said_to_be_one_and_to_change_its_split(split: str, rest: str) -> None:
    before = [replace(clip, sha256=clip.clip_id) for clip in clips("rain", 2, 1)]
    after = [*before[1:], rename(before[0], split)]
    assert describe_changes(before, after) == [
        f"clips against the manifest before: 1 renamed (rain-0 to rain-new){rest}"
    ]


def test_a_clip_that_two_have_the_bytes_of_is_added() -> None:
    before = clips("rain", 2, 0)
    after = [rename(before[0], "train")]
    assert describe_changes(before, after) == [
        "clips against the manifest before: 1 added (rain-new), 2 removed (rain-0, rain-1)"
    ]
