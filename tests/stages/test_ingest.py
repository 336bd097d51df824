"""`avdistill ingest` again, and names that are not UTF-8 on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toys.commands import refused, run
from tests.toys.project import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (f"{x}/{i}.mp4" for x in "ab" for i in range(6)):
        (tmp_path / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "media" / name).write_bytes(name.encode())
    return tmp_path / "media"


def ingest(root: Path, *options: str) -> str:
    out = root.parent / "manifest.csv"
    result = run(*options, "ingest", "mine", "--root", root, "--out", out)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_second_run_says_which_clips_came_went_or_changed(root: Path) -> None:
    assert "against the manifest before" not in ingest(root)
    before = (root.parent / "manifest.csv").read_bytes()
    assert "against the manifest before" not in ingest(root)
    assert (root.parent / "manifest.csv").read_bytes() == before
    (root / "a" / "new.mp4").write_bytes(b"new")
    (root / "a" / "1.mp4").unlink()
    (root / "b" / "1.mp4").write_bytes(b"other")
    message = ingest(root)
    assert "before: 1 added (a-new), 1 removed (a-1), 1 changed (b-1)\n" in message
    message = ingest(root, "--set", "ingest.mine.seed=1")
    assert " in another split (" in message and " to test)" in message


def test_another_file_at_the_output_is_left_alone(root: Path) -> None:
    out = root.parent / "manifest.csv"
    out.write_text("mine")
    message = refused("ingest", "mine", "--root", root, "--out", out)
    assert "exists already; name another output, or replace it with --force" in message
    assert out.read_text() == "mine"
    assert run("ingest", "mine", "--root", root, "--out", out, "--force").returncode == 0
    assert out.read_text().startswith("clip_id,")


def test_a_locale_that_is_not_utf8_is_refused() -> None:
    command = [sys.executable, "-m", "stages", "ingest", "mine", "--root", "x", "--out", "y"]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(
        command, cwd=ROOT, env=locale, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "file names are read as ascii here; set PYTHONUTF8=1" in result.stderr


def test_names_that_are_not_utf8_are_printed(root: Path, tmp_path: Path) -> None:
    bare = os.fsdecode(b"caf\xe9")
    (tmp_path / bare).mkdir()
    moved = root.rename(tmp_path / bare / "media")
    assert r"caf\xe9/manifest.csv" in ingest(moved)
    for arguments in (
        ("ingest", "mine", "--root", moved, "--out", tmp_path / "manifest.csv"),
        ("ingest", "mine", "--root", tmp_path / bare / "none", "--out", tmp_path / "o"),
        ("decode", tmp_path / bare / "none.csv", tmp_path / "shards"),
        ("--set", f"ingest.mine.licence={bare}", "plan", tmp_path / bare / "manifest.csv"),
    ):
        assert r"caf\xe9" in refused(*arguments)
