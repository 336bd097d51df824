"""Shards and ledger: the same bytes with any workers, nothing twice, nothing dropped silently."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.core.errors import REASONS, OutputError, RejectError, ShardError
from pipeline.core.files import read_json
from pipeline.core.records import SPLITS, Clip
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import INDEX, Index
from pipeline.shards.ledger import counts_of
from pipeline.shards.read import read_samples, read_shards
from pipeline.shards.write import write_shard
from pipeline.training.loop import ignore_progress
from tests.toys.decoding import DECODE, digests
from tests.toys.samples import toy_sample


def test_the_same_bytes_for_any_workers_and_order(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    decode_all(clips[::-1], tmp_path / "shards", DECODE, Local(workers=1), ignore_progress)
    assert digests(tmp_path / "shards") == digests(shards)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    samples = [toy_sample("b", 0), toy_sample("a", 1, "z"), toy_sample("a", 0, "z")]
    shard = write_shard(tmp_path, "shard-00000", "source", samples, [])
    index = Index(
        classes=("a", "z"),
        preprocessing="p",
        normalisation=dict.fromkeys(("frame", "logmel")),  # type: ignore[dict-item]
        shards=(shard,),
    )
    rows = list(read_samples(tmp_path, index.shards[0]))
    assert [key for key, _, _ in rows] == ["a_0000", "a_0001", "b_0000"]
    for key, about, arrays in rows:
        sample = next(s for s in samples if s.key == key)
        assert about["label"] == sample.label
        assert all(
            (arrays[m] == sample.arrays[m]).all() and arrays[m].dtype == sample.arrays[m].dtype
            for m in arrays
        )


def test_shapes_and_normalisation(shards: Path) -> None:
    real = read_shards(shards / "train")
    assert (
        real.rows["frame"].shape == (24, 1, 3, 32, 32) and real.rows["frame"].dtype == torch.uint8
    )
    assert (
        real.rows["logmel"].shape == (24, 1, 32, 32) and real.rows["logmel"].dtype == torch.float16
    )
    for rows in real.normalise(slice(None)).values():
        assert rows.mean().item() == pytest.approx(0, abs=1e-3)
        assert rows.std().item() == pytest.approx(1, abs=0.05)
    assert real.normalisation == read_shards(shards / "test").normalisation


def test_whole_shards_are_kept(clips: list[Clip], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    shutil.copytree(shards, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")}
    decode_all(clips, out, DECODE, Local(workers=1), ignore_progress)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")} == before


def test_a_new_clip_touches_one_shard(clips: list[Clip], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    shutil.copytree(shards, out)
    before = digests(out)
    decode_all(
        [*clips, dataclasses.replace(clips[0], clip_id="one-more", split="train")],
        out,
        DECODE,
        Local(workers=1),
        ignore_progress,
    )
    changed = [
        name
        for name, digest in digests(out).items()
        if name.endswith(".tar") and before.get(name) != digest
    ]
    assert len(changed) == 1


def test_a_damaged_shard_is_named_and_written_anew(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    shutil.copytree(shards, out)
    tar = sorted((out / "train").glob("*.tar"))[0]
    tar.write_bytes(tar.read_bytes()[:-2000])
    with pytest.raises(ShardError, match=tar.name):
        read_shards(out / "train")
    decode_all(clips, out, DECODE, Local(workers=1), ignore_progress)
    assert digests(out) == digests(shards)


def test_records_of_an_interrupted_run_are_taken_in(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    half = [clip for clip in clips if clip.split == "train"]
    with pytest.raises(ZeroDivisionError):  # the second report brings the run down
        decode_all(
            half,
            out,
            DECODE,
            Local(workers=1),
            lambda done, total, **figures: 1 // (len(half) - done),
        )
    written = sorted((out / "train").glob("*.tar"))
    assert written and not (out / "train" / INDEX).exists()
    before = [path.stat().st_mtime_ns for path in written]
    decode_all(clips, out, DECODE, Local(workers=1), ignore_progress)
    assert [path.stat().st_mtime_ns for path in written] == before
    assert digests(out) == digests(shards)


def test_every_clip_is_in_the_ledger(clips: list[Clip], tmp_path: Path) -> None:
    text, gone = tmp_path / "text.mp4", tmp_path / "gone.mp4"
    text.write_text("no video")
    bad = [
        dataclasses.replace(
            clips[0], clip_id=path.stem, path=str(path), split="train", sha256=path.stem
        )
        for path in (text, gone)
    ]
    params = dataclasses.replace(DECODE, max_reject_fraction=0.5)
    counts = decode_all(
        [*clips, *bad], tmp_path / "shards", params, Local(workers=2), ignore_progress
    )
    with (tmp_path / "shards" / "ledger.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert counts["clips"] == {"rows": len(clips) + 2, "ok": len(clips), "failed": 2, "filtered": 0}
    assert {row["clip_id"]: row["reason"] for row in rows if row["verdict"] == "failed"} == {
        "text": "decode_error",
        "gone": "missing_file",
    }
    assert {row["clip_id"] for row in rows} == {clip.clip_id for clip in [*clips, *bad]}
    assert {row["reason"] for row in rows} <= {"", *REASONS}
    assert read_json(counts_of(tmp_path / "shards"), "decode") == counts


def test_too_many_rejects_are_an_error_after_everything_is_written(
    clips: list[Clip], tmp_path: Path
) -> None:
    bad = [
        dataclasses.replace(clip, clip_id=f"gone{i}", path="gone.mp4", sha256="")
        for i, clip in enumerate(clips)
    ]
    with pytest.raises(RejectError, match=r"40 of 80 clips .* missing_file 40 clips \(gone\.mp4\)"):
        decode_all([*clips, *bad], tmp_path / "shards", DECODE, Local(workers=2), ignore_progress)
    assert all((tmp_path / "shards" / split / INDEX).is_file() for split in SPLITS)


def test_nothing_but_rejects_is_an_error(clips: list[Clip], tmp_path: Path) -> None:
    bad = [dataclasses.replace(clip, path="gone.mp4") for clip in clips]
    with pytest.raises(
        ShardError, match="no window of class 'ball_bounce' in the test split could be decoded"
    ):
        decode_all(bad, tmp_path / "shards", DECODE, Local(workers=1), ignore_progress)


def test_a_class_that_a_filter_takes_away_is_called_filtered(
    clips: list[Clip], tmp_path: Path
) -> None:
    strict = dataclasses.replace(DECODE, filters={"silent": 0.0})
    with pytest.raises(
        ShardError,
        match=r"all windows of class 'ball_bounce' in the test split were filtered "
        r"\(\d+ silent\); lower that filter in decode\.filters",
    ):
        decode_all(clips, tmp_path / "shards", strict, Local(workers=2), ignore_progress)


def test_a_passing_failure_is_tried_again(clips: list[Clip], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    gone = [
        dataclasses.replace(clip, path="gone.mp4") if clip == clips[0] else clip for clip in clips
    ]
    params = dataclasses.replace(DECODE, max_reject_fraction=1.0)
    with pytest.raises(ShardError):  # that was the only clip of its class in its split
        decode_all(gone, out, params, Local(workers=1), ignore_progress)
    decode_all(clips, out, DECODE, Local(workers=1), ignore_progress)
    assert digests(out) == digests(shards)


def test_what_an_interruption_left_does_not_stand_in_the_way(
    clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    shutil.copytree(shards, out)
    for name in ("ledger.csv.part", "val/index.json.part", "train/shard-00000.tar.part"):
        (out / name).touch()
    decode_all(clips, out, DECODE, Local(workers=1), ignore_progress)
    assert all((out / split / INDEX).is_file() for split in SPLITS)


def test_a_foreign_folder_is_left_alone(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        decode_all(clips, tmp_path, DECODE, Local(workers=1), ignore_progress)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_modality_is_enough(clips: list[Clip], tmp_path: Path) -> None:
    decode_all(
        clips,
        tmp_path / "shards",
        dataclasses.replace(DECODE, modalities=("logmel",)),
        Local(workers=2),
        ignore_progress,
    )
    assert set(read_shards(tmp_path / "shards" / "val").rows) == {"logmel"}
