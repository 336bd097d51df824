"""Sentences about a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.records import NOT_STATED, Clip, Source
from pipeline.datasets.summary import describe_manifest


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
