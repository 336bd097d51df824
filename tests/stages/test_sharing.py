"""docs/guide/share.md: its commands bring the same set to a machine without media."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.artifact import read_artifact, write_artifact
from pipeline.core.files import write_json
from tests.toys.artifacts import CEILING, EVALUATED, FULL, toy_synthetic
from tests.toys.commands import call, copied
from tests.toys.project import ROOT

SHARING = (ROOT / "docs" / "guide" / "share.md").read_text(encoding="utf-8")
CELL = Path("work/generated/jcf/ipc5")
# Blocks that a machine can lack something for, by what they hold.
ABLE = {"git lfs": shutil.which("git-lfs") is not None}
# h5py and numpy alone: whatever else a block imports fails.
ALONE = "import sys; sys.modules.update(dict.fromkeys(('torch', 'pipeline', 'stages', 'dvc')))\n"
GIT = """[user]
name = t
email = t@t
[init]
defaultBranch = main
"""


class Sides(NamedTuple):
    """Two people's folders: a project that ran, and one where nothing is yet."""

    you: Path
    them: Path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after a cell's `publish` in DVC, with a clip and a shard that are not shared."""
    place = copied(tmp_path_factory.mktemp("published") / "project")
    call(place, "git", "init", "--quiet", "--initial-branch=main")
    # What stages that are not run here would have had DVC ignore.
    (place / ".git" / "info" / "exclude").write_text("/data\nartifacts/\nscores.json\n")
    for stays in ("media/clip.mp4", "shards/train/shard-00000.tar"):
        (place / "data" / "generated" / stays).parent.mkdir(parents=True)
        (place / "data" / "generated" / stays).write_text("stays at home")
    synthetic = toy_synthetic()
    digests = {}
    for seed in (0, 1):
        one = dataclasses.replace(synthetic, provenance={**synthetic.provenance, "seed": seed})
        digests[f"seed{seed}.h5"] = write_artifact(
            place / CELL / "artifacts" / f"seed{seed}.h5", one, FULL
        )
    write_json(place / CELL / "scores.json", {"artifacts": digests, **EVALUATED})
    write_json(place / CELL.parent.parent / "ceiling.json", CEILING)
    call(place, "dvc", "repro", "code")
    call(place, "dvc", "repro", "--single-item", "publish@generated-jcf-5")
    return place


@pytest.fixture
def sides(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sides:
    """Both sides, and folders in the place of inbox, git server, storage and hub."""
    servers = {"INBOX": "inbox", "PROJECT": "project.git", "STORAGE": "storage", "HUB": "hub.git"}
    for name, folder in servers.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "gitconfig").write_text(GIT)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("DVC_STUDIO_OFFLINE", "true")
    for bare in ("project.git", "hub.git"):
        call(tmp_path, "git", "init", "--quiet", "--bare", bare)
    shutil.copytree(published, tmp_path / "you", symlinks=True)
    (tmp_path / "inbox").mkdir()
    return Sides(tmp_path / "you", tmp_path / "inbox")


def walk(way: str, sides: Sides) -> str:
    """Run the blocks of a section, each on its side; what they printed."""
    (section,) = re.findall(rf"^## {way}\n(.*?)(?=^## |\Z)", SHARING, re.DOTALL | re.MULTILINE)
    _, yours, theirs = re.split(r"^### .+\n", section, flags=re.MULTILINE)
    message = []
    for place, text in zip(sides, (yours, theirs), strict=True):
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if all(able for what, able in ABLE.items() if what in block):
                run = {
                    "sh": ("bash", "-euc", block),
                    "python": (sys.executable, "-c", ALONE + block),
                }[language]
                message.append(call(place, *run))
    return "".join(message)


def assert_same(sides: Sides, *received: str) -> str:
    """Check that the published set came, and no shard or clip with it; return the digest."""
    digest = read_artifact(sides.you / CELL / "published" / "seed0.h5").about["content_digest"]
    for name in received:
        assert read_artifact(sides.them / name).about["content_digest"] == digest
    assert not [path for path in sides.them.rglob("*") if path.suffix in {".mp4", ".tar"}]
    return digest


def test_the_file_is_sent(sides: Sides) -> None:
    message = walk("Send the file", sides)
    assert (
        message.count(assert_same(sides, "seed0.h5")) == 3
    )  # your inspect, their h5py, their inspect


def test_a_dvc_remote_holds_the_published_sets_and_nothing_else(sides: Sides) -> None:
    walk("A DVC remote", sides)
    assert_same(sides, "seed0.h5", "same.h5", f"project/{CELL}/published/seed0.h5")
    stored = [
        path.read_bytes() for path in (sides.you.parent / "storage").rglob("*") if path.is_file()
    ]
    mine = [path.read_bytes() for path in (sides.you / CELL / "published").iterdir()]
    assert len(stored) == 3 and all(
        file in stored for file in mine
    )  # two seeds, and the list of them
    assert not (sides.them / "project" / "data").exists()


def test_a_hub_holds_the_file_and_its_card(sides: Sides) -> None:
    walk("A hub", sides)
    assert_same(sides, "sets/seed0.h5")
    assert (sides.them / "sets" / "README.md").exists()
    assert (sides.them / "sets" / ".gitattributes").exists() == ABLE["git lfs"]
