"""The package that people import, and `python -m avdistill`, also beside packages of its names."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import avdistill
from pipeline.artifact import read_artifact
from tests.toys.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILE = str(ROOT / "tests/golden/1.0-scores-uint8.h5")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder; avdistill is found behind the folder's own packages."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A folder with a `pipeline` and a `stages` of its own."""
    for name in ("pipeline", "stages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("mine = True\n")
    return tmp_path


def test_an_artifact_is_read_as_by_the_library() -> None:
    columns = avdistill.read_artifact(FILE).columns
    assert all(
        np.array_equal(columns[name], values)
        for name, values in read_artifact(ROOT / "tests/golden/1.0-scores-uint8.h5").columns.items()
    )


def test_an_intact_artifact_has_no_critical_finding(tmp_path: Path) -> None:
    assert not [x for x in avdistill.verify(FILE) if x.severity == "CRITICAL"]
    broken = tmp_path / "broken.h5"
    broken.write_bytes((ROOT / "tests/golden/1.0-scores-uint8.h5").read_bytes()[:-100])
    assert [x for x in avdistill.verify(broken) if x.severity == "CRITICAL"]


def test_the_page_is_that_of_the_command(tmp_path: Path) -> None:
    printed = run(tmp_path, "-m", "avdistill", "inspect", FILE).stdout
    assert printed == avdistill.inspect(FILE) + "\n" and "classes" in printed


def test_a_script_without_a_main_block_can_verify(tmp_path: Path) -> None:
    script = f"import avdistill\nprint('once', len(avdistill.verify({FILE!r})))\n"
    (tmp_path / "script.py").write_text(script)
    result = run(tmp_path, "script.py")
    assert (result.stdout.count("once"), result.stderr) == (1, "")


def test_the_program_runs_beside_other_packages_of_its_names(taken: Path) -> None:
    result = run(taken, "-m", "avdistill", "verify", FILE)
    assert (result.returncode, result.stderr) == (0, "") and "intact" in result.stdout


def test_the_library_works_beside_other_packages_of_its_names_and_names_them(taken: Path) -> None:
    result = run(taken, "-c", f"import avdistill; print(avdistill.verify({FILE!r}))")
    assert result.returncode == 0, result.stderr
    both = " and ".join(str(taken / name / "__init__.py") for name in ("pipeline", "stages"))
    assert f"hide {both} in this program" in result.stderr
    assert result.stderr.count("UserWarning") == 1


def test_a_program_that_has_imported_another_pipeline_gets_a_sentence(taken: Path) -> None:
    result = run(taken, "-c", "import pipeline, avdistill")
    assert f"ImportError: this program has imported {taken / 'pipeline'}" in result.stderr


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    result = run(tmp_path, "-c", "import avdistill, pipeline.core")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_example_of_the_repository_is_intact_and_has_its_card() -> None:
    file = ROOT / "examples" / "generated-jcf-ipc1.h5"
    assert avdistill.verify(file) == []
    artifact = avdistill.read_artifact(file)
    assert len(artifact.to_torch()) == 32
    card = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert artifact.about["content_digest"] in card and "CC0-1.0" in card
