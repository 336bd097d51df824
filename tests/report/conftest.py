"""Results and their pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.report import ReportSettings, write_report
from tests.toys.results import (
    EVERYTHING,
    GRID,
    LOGMEL,
    SETTINGS,
    TEXTS,
    TOYS,
    Toys,
    save,
    taught,
)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results that nobody changes."""
    return TOYS.write(tmp_path_factory.mktemp("toys") / "work")


@pytest.fixture
def results(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "work")


@pytest.fixture(scope="session")
def made(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of these results, and its siblings."""
    out = tmp_path_factory.mktemp("page") / "index.html"
    write_report(written, out, GRID, SETTINGS, TEXTS, LOGMEL)
    return out


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of results with every task, two datasets and a dozen classes."""
    root = tmp_path_factory.mktemp("everything")
    toys = Toys(
        means={
            (m, ipc): 0.3 + 0.1 * i + 0.05 * ipc
            for ipc in (1, 2)
            for i, m in enumerate(("random", "herding", "dm"))
        },
        datasets=("first", "second_set"),
        classes=tuple(f"class {i:02d}" for i in range(12)),
        measures=EVERYTHING,
    )
    toys.write(root / "work")
    for method in ("none", "kd", "ccl"):
        for name in ("random ipc 5", "whole"):
            scores = taught(
                method,
                name,
                0.4,
                classes=toys.classes,
                not_run=["teacher wave: not run: needs wave vectors"],
            )
            save(root / "work" / "first" / "taught" / name / f"{method}.json", scores)
    write_report(
        root / "work",
        root / "index.html",
        toys.grid,
        ReportSettings(gallery=1, baseline="random"),
        TEXTS,
        LOGMEL,
    )
    return root / "index.html"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "report" / "index.html"
