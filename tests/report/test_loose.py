"""Scores outside the grid: files that were evaluated by hand, under any name."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pipeline.core.errors import SourceError
from pipeline.report import SUFFIXES, write_report
from tests.toys.results import (
    GRID,
    SETTINGS,
    TEXTS,
    edit,
    markdown_of,
    rows_of,
    save,
    text_of,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def by_hand(written: Path, tmp_path: Path) -> Path:
    """A folder with scores of two artifacts and of the whole data, and no cell of the grid."""
    folder = tmp_path / "try"
    folder.mkdir()
    shutil.copy(written / "toy" / "dm" / "ipc1" / "scores.json", folder / "my-dm.json")
    (folder / "runs" / "second").mkdir(parents=True)
    path = folder / "runs" / "second" / "scores.json"
    shutil.copy(written / "toy" / "random" / "ipc1" / "scores.json", path)
    edit(path, lambda value: value.update(artifacts={"a, b.h5": "1", "c.h5": "2"}))
    shutil.copy(written / "toy" / "ceiling.json", folder / "bound.json")
    save(folder / "notes.json", {"scores": "none"})
    return folder


def test_a_folder_of_scores_has_a_report(by_hand: Path, out: Path) -> None:
    said = write_report(by_hand, out, GRID, SETTINGS, TEXTS, None)
    markdown = markdown_of(out)
    assert "| my-dm | seed0.h5 | 52.0 ± 2.0 [47.0, 56.0] |" in markdown
    assert "| runs/second | a, b.h5; c.h5 | 31.0 ± 2.0 [26.0, 35.0] |" in markdown
    assert "| whole data: bound | | 90.0 ± 2.0 [85.0, 94.0] |" in markdown
    assert "runs/second" in said and "notes" not in markdown
    assert '<h2 id="loose-name">Scores</h2>' in text_of(out)
    assert {row["method"] for row in rows_of(out.with_suffix(".csv"))} == {
        *("my-dm", "runs/second", "bound")
    }
    assert {path.name.removeprefix("index") for path in out.parent.iterdir()} == set(SUFFIXES)


def test_scores_beside_the_grid_have_a_table_of_their_own(results: Path, out: Path) -> None:
    other = results / "toy" / "dm" / "ipc7"
    other.mkdir()
    shutil.copy(results / "toy" / "dm" / "ipc1" / "scores.json", other)
    write_report(results, out, GRID, SETTINGS, TEXTS, None)
    assert "Scores outside the grid" in text_of(out)
    assert markdown_of(out).count("| toy/dm/ipc7 | seed0.h5 |") == 2  # two measurements
    assert "| toy/dm/ipc1 |" not in markdown_of(out)


def test_scores_of_other_clips_stand_in_another_table(by_hand: Path, out: Path) -> None:
    def fewer(value: dict) -> None:  # type: ignore[type-arg]
        for entry in value["scores"]:
            entry["windows"].pop()
            entry["right"] = {v: [run[:-1] for run in runs] for v, runs in entry["right"].items()}

    edit(by_hand / "my-dm.json", fewer)
    write_report(by_hand, out, GRID, SETTINGS, TEXTS, None)
    assert "Scores 1 of recognition" in text_of(out) and "Scores 2 of recognition" in text_of(out)


def test_a_damaged_file_of_scores_is_named(by_hand: Path, out: Path) -> None:
    edit(by_hand / "my-dm.json", lambda value: value["scores"][0].pop("metrics"))
    write_report(by_hand, out, GRID, SETTINGS, TEXTS, None)
    assert "<code>my-dm.json</code>" in text_of(out)


def test_a_folder_without_scores_is_refused(tmp_path: Path, out: Path) -> None:
    with pytest.raises(SourceError, match=r"ceiling\.json does not exist"):
        write_report(tmp_path, out, GRID, SETTINGS, TEXTS, None)
