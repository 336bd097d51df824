"""Outcomes: filters, duplicates, spans, leaks, retries; both equations of the ledger hold."""

from __future__ import annotations

import csv
import dataclasses
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import OutputError, ParamsError
from pipeline.core.files import lock_output
from pipeline.core.records import Clip
from pipeline.datasets.manifest import find_missing, limit_clips
from pipeline.media import write_clip
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.shards.index import read_index
from pipeline.shards.ledger import table_of
from pipeline.shards.read import read_samples, read_shards
from pipeline.shards.settings import DecodeSettings
from pipeline.training.loop import ignore_progress
from tests.toys.project import ROOT, values

DECODE = dataclasses.replace(values().build("decode", DecodeSettings), max_reject_fraction=1.0)


def clip(path: Path, name: str, label: str, split: str, **changes: Any) -> Clip:
    given = {
        "start_s": 0.0,
        "end_s": None,
        "group": name,
        "bytes": path.stat().st_size,
        "sha256": f"digest of {name}",
    }
    return Clip(
        **{"clip_id": name, "path": str(path), "label": label, "split": split, **given, **changes}
    )


def written(path: Path, seed: int, level: float = 0.3, moving: bool = True, light: int = 0) -> Path:
    """A second of noise and of blocks that move, or do not."""
    numbers = np.random.default_rng(seed)
    first = light + numbers.integers(0, 200, (8, 8, 3)).repeat(8, 0).repeat(8, 1) * (light == 0)
    frames = [np.uint8(np.roll(first, 8 * index * moving, axis=1)) for index in range(10)]
    write_clip(path, frames, 10, np.float32(level * numbers.uniform(-1, 1, 16000)), 16000)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """One clip of two classes in each split."""
    root = tmp_path_factory.mktemp("plain")
    places = [(split, label) for split in ("train", "val", "test") for label in "ab"]
    return [
        clip(written(root / f"{split}{label}.mp4", number), f"{split}{label}", label, split)
        for number, (split, label) in enumerate(places)
    ]


def decoded(
    clips: list[Clip], out: Path, retry: tuple[str, ...] = (), **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counts, and clip id -> (verdict, reason) of whole clips."""
    counts = decode_all(
        clips, out, dataclasses.replace(DECODE, **changes), Local(workers=1), ignore_progress, retry
    )
    with (out / "ledger.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return counts, {
        row["clip_id"]: (row["verdict"], row["reason"]) for row in rows if not row["second"]
    }


def test_windows_that_a_filter_takes_are_counted_and_left_out(
    plain: list[Clip], tmp_path: Path
) -> None:
    quiet = clip(written(tmp_path / "quiet.mp4", 11, level=1e-5), "quiet", "a", "train")
    still = clip(written(tmp_path / "still.mp4", 12, moving=False), "still", "a", "train")
    black = clip(written(tmp_path / "black.mp4", 13, light=1), "black", "a", "train")
    loud = clip(written(tmp_path / "loud.mp4", 14, level=4.0), "loud", "a", "train")
    filters = {"silent": -60.0, "still": 1.0, "black": 8.0, "clipping": 0.05}
    counts, outcomes = decoded(
        [*plain, quiet, still, black, loud], tmp_path / "out", filters=filters
    )
    assert {name: outcomes[name] for name in ("quiet", "still", "black", "loud")} == {
        "quiet": ("filtered", "silent"),
        "still": ("filtered", "still"),
        "black": ("filtered", "black"),
        "loud": ("filtered", "clipping"),
    }
    assert counts["windows"] == {"seconds": 10, "ok": 6, "failed": 0, "filtered": 4}
    assert set(read_shards(tmp_path / "out" / "train").clips) == {"traina", "trainb"}


def test_without_filters_nothing_is_left_out(plain: list[Clip], tmp_path: Path) -> None:
    quiet = clip(written(tmp_path / "quiet.mp4", 11, level=1e-5), "quiet", "a", "train")
    assert decoded([*plain, quiet], tmp_path / "out")[1]["quiet"] == ("ok", "")


def test_a_window_carries_its_quality_in_its_sample_and_in_the_ledger(
    plain: list[Clip], tmp_path: Path
) -> None:
    decoded(plain, tmp_path / "out")
    (shard,) = [s for s in read_index(tmp_path / "out" / "val").shards if s.samples][:1]
    about = next(iter(read_samples(tmp_path / "out" / "val", shard)))[1]
    with (tmp_path / "out" / "ledger.csv").open(newline="") as stream:
        row = next(
            row
            for row in csv.DictReader(stream)
            if (row["clip_id"], row["second"]) == (about["clip"], str(about["second"]))
        )
    assert about["quality"].keys() == {
        "rms_db",
        "peak",
        "clipped",
        "sound_hash",
        "luma",
        "contrast",
        "motion",
        "frame_hash",
    }
    assert {name: str(value) for name, value in about["quality"].items()} == {
        name: row[name] for name in about["quality"]
    }


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, 1.0), (2.0, 1.0), (float("nan"), None), (0.0, float("nan"))]
)
def test_a_span_that_is_none_is_a_reason(
    start: float, end: float | None, plain: list[Clip], tmp_path: Path
) -> None:
    bad = dataclasses.replace(plain[0], clip_id="bad", start_s=start, end_s=end)
    assert decoded([*plain, bad], tmp_path / "out")[1]["bad"] == ("failed", "bad_span")


def test_a_path_that_leaves_the_manifests_folder_is_not_opened(
    plain: list[Clip], tmp_path: Path
) -> None:
    bad = dataclasses.replace(
        plain[0], clip_id="bad", path=str(tmp_path / ".." / Path(plain[0].path).name)
    )
    assert decoded([*plain, bad], tmp_path / "out")[1]["bad"] == ("failed", "outside_root")


def test_of_duplicates_the_most_held_out_one_stays(plain: list[Clip], tmp_path: Path) -> None:
    test = next(clip for clip in plain if clip.clip_id == "testa")
    twins = [
        dataclasses.replace(test, clip_id=name, split=split)
        for name, split in (("twin1", "train"), ("twin2", "test"))
    ]
    counts, outcomes = decoded([*plain, *twins], tmp_path / "out", drop_duplicates=True)
    assert outcomes["testa"] == ("ok", "")
    assert outcomes["twin1"] == outcomes["twin2"] == ("filtered", "duplicate")
    assert counts["clips"] == {"rows": 8, "ok": 6, "failed": 0, "filtered": 2}


def test_near_duplicates_across_splits_are_listed(plain: list[Clip], tmp_path: Path) -> None:
    test = next(clip for clip in plain if clip.clip_id == "testa")
    twin = dataclasses.replace(test, clip_id="twin", split="train", sha256="other bytes")
    counts, outcomes = decoded([*plain, twin], tmp_path / "out")
    assert outcomes["twin"] == ("ok", "")
    assert counts["leaks"] == {"train-val": 0, "train-test": 1, "val-test": 0}
    with (tmp_path / "out" / "leaks.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["clip_id"], row["other_clip_id"], row["frame_bits"], row["sound_bits"]) == (
        "twin",
        "testa",
        "0",
        "0",
    )


def test_the_table_of_windows_adds_up(plain: list[Clip], tmp_path: Path) -> None:
    gone = dataclasses.replace(plain[0], clip_id="gone", path="gone.mp4")
    counts, _ = decoded([*plain, gone], tmp_path / "out")
    with table_of(tmp_path / "out").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (
        sum(int(row["count"]) for row in rows if row["verdict"] == "ok") == counts["windows"]["ok"]
    )
    assert [
        (row["label"], row["reason"], row["count"]) for row in rows if row["verdict"] == "failed"
    ] == [("a", "missing_file", "1")]


def test_a_reason_can_be_tried_again(plain: list[Clip], tmp_path: Path) -> None:
    """A text file is no passing failure: its shard stands, until its reason is named."""
    path = tmp_path / "late.mp4"
    path.write_text("not yet")
    late = clip(path, "late", "a", "train")
    assert decoded([*plain, late], tmp_path / "out")[1]["late"] == ("failed", "decode_error")
    written(path, 21)
    assert decoded([*plain, late], tmp_path / "out")[1]["late"] == ("failed", "decode_error")
    assert decoded([*plain, late], tmp_path / "out", ("decode_error",))[1]["late"] == ("ok", "")


def test_an_unknown_reason_lists_the_known_ones(plain: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match="--retry timout: the ledger knows no such reason; there are no_audio"
    ):
        decoded(plain, tmp_path / "out", ("timout",))


def test_a_label_that_a_split_lacks_is_named(plain: list[Clip]) -> None:
    assert find_missing(plain) == {}
    assert find_missing([clip for clip in plain if clip.clip_id != "valb"]) == {"val": ["b"]}


def test_a_limit_takes_some_of_every_class_and_split(plain: list[Clip]) -> None:
    many = [
        dataclasses.replace(clip, clip_id=f"{clip.clip_id}{i}") for clip in plain for i in range(5)
    ]
    taken = limit_clips(many, 12)
    assert len(taken) == 12
    assert {(clip.split, clip.label) for clip in taken} == {
        (clip.split, clip.label) for clip in plain
    }
    assert limit_clips(many, 100) == sorted(
        many, key=lambda clip: (int(clip.clip_id[-1]), clip.split, clip.label)
    )


def test_a_limit_leaves_no_class_of_a_split_out(plain: list[Clip]) -> None:
    assert {clip.clip_id for clip in limit_clips(plain, 1)} == {clip.clip_id for clip in plain}


def test_a_split_may_be_empty_but_training(plain: list[Clip]) -> None:
    assert find_missing([clip for clip in plain if clip.split != "val"]) == {}
    assert set(find_missing([clip for clip in plain if clip.split != "train"])) == {"train"}


def test_sixteen_bit_samples_come_back(plain: list[Clip], tmp_path: Path) -> None:
    decoded(plain, tmp_path / "out", modalities=("wave",))
    real = read_shards(tmp_path / "out" / "train")
    assert real.rows["wave"].shape == (2, 1, 48000)
    assert str(real.rows["wave"].dtype) == "torch.int16"
    assert 3000 < real.rows["wave"].float().std() < 12000


def test_two_runs_on_one_output_do_not_mix(plain: list[Clip], tmp_path: Path) -> None:
    with lock_output(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing"):
        decoded(plain, tmp_path / "out")
    assert decoded(plain, tmp_path / "out")[0]["clips"]["ok"] == 6
    assert not list(tmp_path.glob(".*lock"))


FULL = """
import pickle, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clips, params, out, most = pickle.loads(sys.stdin.buffer.read())
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.core.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    decode_all(clips, Path(out), params, Local(workers=1), lambda *_, **__: None)
except OutputError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_no_half_file(plain: list[Clip], tmp_path: Path) -> None:
    """A limit on file length stands for a full disk: the same write fails, with another errno."""
    import pickle

    out, most = tmp_path / "out", 4096
    given = pickle.dumps((plain, DECODE, str(out), most))
    result = subprocess.run(
        [sys.executable, "-c", FULL], input=given, cwd=ROOT, capture_output=True, check=True
    )
    assert (
        b"cannot be written (File too large); name another output or free disk space"
        in result.stdout
    )
    assert all(path.stat().st_size < most for path in out.rglob("*") if path.is_file())
    assert not [path for path in out.rglob("*") if path.suffix in (".tar", ".part")]
    assert decoded(plain, out)[0]["clips"]["ok"] == 6
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_may_not_be_written_is_named(plain: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        decoded(plain, tmp_path / "file" / "out")
