"""The plan beside what decoding then makes; what a clock says is never compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.records import Clip
from pipeline.shards.index import read_index
from pipeline.shards.plan import ClipTrial, Forecast, WindowBytes, describe, forecast
from pipeline.shards.read import read_shards
from tests.toys.decoding import DECODE


@pytest.fixture(scope="module")
def planned(clips: list[Clip]) -> Forecast:
    return forecast(clips, DECODE, 12, 2)


def test_windows_disk_memory_and_tars_are_those_of_the_decode(
    planned: Forecast, shards: Path
) -> None:
    indices = [read_index(folder) for folder in sorted(shards.glob("*/"))]
    tars = [path.stat().st_size for path in shards.rglob("*.tar")]
    real = read_shards(shards / "train")
    assert planned.windows.value == sum(
        shard.samples for index in indices for shard in index.shards
    )
    assert planned.tars == len(tars)
    assert planned.shard_bytes == pytest.approx(sum(tars), rel=0.1)
    assert planned.ledger_bytes == pytest.approx((shards / "ledger.csv").stat().st_size, rel=0.1)
    assert planned.train_bytes == sum(rows.nbytes for rows in real.rows.values())


def test_the_same_clips_are_drawn_again(planned: Forecast, clips: list[Clip]) -> None:
    assert forecast(clips[::-1], DECODE, 12, 2).window == planned.window
    assert len(planned.trials) == 12


def test_failed_and_refused_clips_are_named_and_counted(clips: list[Clip], tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    bad = [
        dataclasses.replace(clips[0], clip_id=name, path=str(tmp_path / f"{name}.mp4"), sha256=name)
        for name in ("text", "gone")
    ]
    odd = dataclasses.replace(clips[0], clip_id="odd", start_s=3.0, end_s=2.0)
    twin = dataclasses.replace(clips[1], clip_id="zz-twin")
    params = dataclasses.replace(DECODE, drop_duplicates=True)
    plan = forecast([clips[0], clips[1], *bad, odd, twin], params, 50, 1)
    assert plan.windows.value == pytest.approx(2) and plan.remaining == 4
    message = describe(plan)
    assert "6 (" in message and "refused before decoding: 1 bad_span, 1 duplicate" in message
    assert "measured: 4 clips, drawn with seed 0: 1 decode_error, 1 missing_file, 2 ok" in message


def test_nothing_that_decodes_is_one_sentence(clips: list[Clip]) -> None:
    gone = [dataclasses.replace(clip, path=f"/nowhere/{clip.clip_id}.mp4") for clip in clips[:3]]
    with pytest.raises(
        SourceError, match=r"none of 3 sampled clips could be decoded \(3 missing_file\)"
    ):
        forecast(gone, DECODE, 50, 1)
    odd = [dataclasses.replace(clips[0], start_s=3.0, end_s=2.0)]
    with pytest.raises(
        SourceError, match=r"none of 0 sampled clips could be decoded \(1 bad_span\)"
    ):
        forecast(odd, DECODE, 50, 1)
    with pytest.raises(ParamsError, match="--sample 0: a prediction needs one clip or more"):
        forecast(clips, DECODE, 0, 1)


def toy(windows: list[int], clips: int, workers: int = 1, **changes: int) -> Forecast:
    trials = [
        ClipTrial(worker_cpu_s=2.0, worker_wall_s=4.0, parent_s=0.5, windows=count, reason="")
        for count in windows
    ]
    return Forecast(
        clips={"train": clips, "val": 0, "test": 0},
        refused={},
        trials=trials,
        window=WindowBytes(tar=1e6, memory=1.0, ledger=1.0),
        tars=1,
        start_s=1.0,
        params=dataclasses.replace(DECODE, **changes),
        workers=workers,
    )


def test_an_interval_is_the_samples_spread_and_nothing_where_all_were_seen() -> None:
    half = 1.96 * 400 * 2 / 4**0.5 * (1 - 4 / 400) ** 0.5 * (4 / 3) ** 0.5
    seen = toy([8, 12, 8, 12], 400).windows
    assert (seen.value, seen.low, seen.high) == pytest.approx((4000, 4000 - half, 4000 + half))
    assert toy([8, 12], 2).windows.low == toy([8, 12], 2).windows.high == 20


def test_wall_is_the_slowest_of_parent_workers_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(100)))
    assert toy([1], 100, workers=4, recycle=1000).wall_s == pytest.approx((100 * 4.0 + 4) / 4)
    assert toy([1], 100, workers=50, recycle=1000).wall_s == pytest.approx(100 * 0.5)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert toy([1], 100, workers=50, recycle=10).wall_s == pytest.approx(100 * 2.5 + 50)


def test_tars_of_256_to_512_mb_are_advised() -> None:
    assert (
        "decode.shards = 4 makes tars of 2,560.0 MB in the largest split; "
        "for 256 to 512 MB each take 20 to 40" in describe(toy([1024], 10))
    )
