"""The line on real clips, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.manifest import read_manifest
from pipeline.shards.read import read_shards
from tests.toys.commands import run
from tests.toys.project import REAL_DATA

pytestmark = pytest.mark.skipif(not REAL_DATA.exists(), reason="the real clips are not here")
SETS = {"grid_digits": (10, 1.2), "esc_photo": (10, 5.0)}


@pytest.fixture
def few(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Links to four train and two test clips of each label."""
    name = request.param
    for split, count in (("train", 4), ("test", 2)):
        for label in sorted((REAL_DATA / name / split).iterdir()):
            (tmp_path / "media" / split / label.name).mkdir(parents=True)
            for clip in sorted(label.glob("*.mp4"))[:count]:
                (tmp_path / "media" / split / label.name / clip.name).symlink_to(clip)
    return tmp_path


@pytest.mark.parametrize("few", sorted(SETS), indirect=True)
def test_real_clips_become_shards(few: Path) -> None:
    assert (
        run("ingest", "mine", "--root", few / "media", "--out", few / "manifest.csv").returncode
        == 0
    )
    result = run("decode", few / "manifest.csv", few / "shards", "--quiet")
    assert result.returncode == 0, result.stderr
    assert "clips: 60 rows = 60 ok + 0 failed + 0 filtered" in result.stdout
    real = read_shards(few / "shards" / "train")
    assert len(real.classes) == 10
    train = [clip for clip in read_manifest(few / "manifest.csv") if clip.split == "train"]
    assert len(real) == len({*real.keys}) >= len(train) > 20


def test_the_hard_files_end_in_the_ledger_and_not_in_a_crash(tmp_path: Path) -> None:
    """Some difficult files: each is ok or has a reason, and the run goes on to its end."""
    hard = REAL_DATA / "hard_media" / "open" / "derived"
    names = (
        "plain.mp4",
        "no_audio.mp4",
        "audio_only.mp4",
        "html_error.mp4",
        "random_bytes.mp4",
        "av1.mp4",
        "audio_late.mp4",
    )
    rows = []
    for name in names:
        for label in "ab":
            for split in ("train", "val", "test"):
                link = f"{Path(name).stem}-{label}-{split}{Path(name).suffix}"
                (tmp_path / link).symlink_to(hard / name)
                rows.append(f"{link},{label},{split}")
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,split", *rows]))
    assert (
        run(
            "ingest", "mine", "--root", tmp_path / "clips.csv", "--out", tmp_path / "manifest.csv"
        ).returncode
        == 0
    )
    result = run(
        "--set",
        "decode.max_reject_fraction=1.0",
        "decode",
        tmp_path / "manifest.csv",
        tmp_path / "shards",
        "--quiet",
    )
    assert result.returncode == 0, result.stderr
    ledger = (tmp_path / "shards" / "ledger.csv").read_text().splitlines()
    clips = [line.split(",") for line in ledger if line.split(",")[1] == ""]
    verdicts = {
        name: {row[6] for row in clips if row[0].startswith(Path(name).stem)} for name in names
    }
    assert verdicts["plain.mp4"] == verdicts["av1.mp4"] == {""}
    assert verdicts["no_audio.mp4"] == {"no_audio"} and verdicts["audio_only.mp4"] == {"no_video"}
    assert verdicts["html_error.mp4"] == verdicts["random_bytes.mp4"] == {"decode_error"}
