"""`avdistill init` on the command line: bad input is one line, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.init import init
from tests.toys.commands import refused, run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in a git repository, for commands run without git."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_the_next_command_is_named(place: Path) -> None:
    result = run("init", place / "mine", "--preset", "small", params=place / "none.yaml")
    assert result.stdout.splitlines() == [
        f"params.yaml, dvc.yaml, .dvc, .dvcignore, .gitignore -> {place}/mine",
        f"next: cd {place}/mine && dvc repro, with clips in data/<name>/media of each name in "
        "grid.datasets (avmnist_fsdd, grid_digits, esc_photo); name your own there",
    ]


def test_the_next_command_can_be_pasted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert init(Path("my set")).endswith("\nnext: cd 'my set' && dvc repro")
    assert init().endswith("\nnext: dvc repro")


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("smal", "no preset 'smal'; name one of ablation, ave, "),
        ("{distill: {jcf: {jiont: 0.5}}}", "unknown key distill.jcf.jiont, the nearest is joint"),
        ("{distill: {mine: {method: jfc}}}", "distill.mine: no method named 'jfc'; set method to"),
        ("{grid: {methods: [mine]}}", "grid.methods names 'mine', distill has no such row"),
        ("{grid: {methods: [random]}}", "report.baseline is 'herding', which is not in grid.meth"),
        ("[a list]", "has no sections"),
    ],
)
def test_a_bad_preset_is_one_line(preset: str, message: str, place: Path) -> None:
    name = preset
    if " " in preset:
        name = str(place / "mine.yaml")
        Path(name).write_text(preset)
    before = sorted(place.rglob("*"))
    assert message in refused("init", place / "mine", "--preset", name)
    assert sorted(place.rglob("*")) == before


def test_files_in_the_way_are_one_line(place: Path) -> None:
    (place / "dvc.yaml").write_text("mine")
    assert "has dvc.yaml already; name another folder, or overwrite with --force" in refused(
        "init", place
    )
    assert sorted(path.name for path in place.iterdir()) == [".git", "dvc.yaml"]
    assert run("init", place, "--force").returncode == 0


def test_without_git_and_a_repository_it_is_one_line(tmp_path: Path) -> None:
    assert "git is not installed; install git" in refused("init", tmp_path / "mine")
    assert not list(tmp_path.iterdir())
