"""Commands in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.toys.project import GRAPH, PARAMS, ROOT

SMALL = (
    "grid.ipcs=[1]",
    "grid.seeds=[0]",
    "ingest.generated.train=3",
    "ingest.generated.val=1",
    "ingest.generated.test=1",
    "networks.convnet.width=4",
    "extract.convnet.steps=3",
    "distill.dm.steps=2",
    "distill.avdd.steps=2",
    "evaluate.repeats=1",
    "evaluate.bootstrap=20",
    "evaluate.protocols.budget.steps=3",
    "evaluate.protocols.budget.trials=4",
    "evaluate.protocols.avdd.epochs=2",
    "ceiling.repeats=1",
)


def run(*arguments: object, params: Path = PARAMS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages", "--params-file", str(params), *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )


def refused(*arguments: object, params: Path = PARAMS, code: int = 1) -> str:
    """The one line that a refused command prints."""
    result = run(*arguments, params=params)
    assert (result.returncode, result.stdout) == (code, ""), result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


BIN = Path(sys.executable).parent


def call(place: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "300",
    }
    result = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def copied(place: Path, symlinks: bool = False) -> Path:
    """Copy the project's files, without its results and edits; links as files, or as links."""
    made = shutil.ignore_patterns(
        "data", "work", "report", "tmp", "cache", "site", "code.json", "dvc.lock"
    )
    hidden = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache")

    def ignore(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) in (ROOT, ROOT / ".dvc")
        return hidden(folder, names) | (made(folder, names) if top else set())

    shutil.copytree(ROOT, place, ignore=ignore, symlinks=symlinks)
    shutil.copy(PARAMS, place / "params.yaml")
    shutil.copy(GRAPH, place / "dvc.yaml")
    return place
