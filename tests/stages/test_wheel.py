"""A wheel in a fresh environment: `avdistill init` needs no clone, and DVC runs its graph."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from pipeline import __version__
from pipeline.core.presets import PACKAGED, list_presets
from pipeline.project import FILES
from tests.toys.project import ROOT

PACKAGE = "pipeline/core/packaged"
TINY = """
grid: {datasets: [generated], methods: [herding, dm, dm-fast], ipcs: [1], seeds: [0]}
ingest: {generated: {train: 6, val: 1, test: 1}}
networks: {convnet: {width: 4}}
extract: {convnet: {steps: 3}}
experts: {count: 1, epochs: 1}
distill:
  dm: {steps: 2, rates: {frame: [0.5], logmel: [0.5]}}
  dm-fast: {method: dm, steps: 1}
evaluate: {repeats: 1, bootstrap: 20, protocols: {budget: {steps: 3, trials: 4}}}
ceiling: {repeats: 1}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files under version control, with links as links."""
    place = tmp_path_factory.mktemp("source")
    for name in ("avdistill", "pipeline", "stages", "presets", ".dvc"):
        made = shutil.ignore_patterns("__pycache__", "tmp", "cache")
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=made)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != "code.json":
            shutil.copy(path, place)
    return place


def build(source: Path, kind: str, out: Path) -> Path:
    """Build a wheel or an sdist by the project's build backend, in this environment."""
    out.mkdir(exist_ok=True)
    code = f"from hatchling import build; print(build.build_{kind}({str(out)!r}))"
    subprocess.run(
        [sys.executable, "-c", code], cwd=source, check=True, capture_output=True, text=True
    )
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, "wheel", tmp_path_factory.mktemp("wheel"))


def packaged_in(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as file:
        return {
            name.removeprefix(f"{PACKAGE}/"): file.read(name)
            for name in file.namelist()
            if name.startswith(PACKAGE)
        }


def test_a_wheel_has_the_files_of_a_project(wheel: Path) -> None:
    presets = [f"presets/{name}.yaml" for name in list_presets()]
    packaged = packaged_in(wheel)
    assert sorted(packaged) == sorted([*FILES.values(), *presets])
    assert all((PACKAGED / name).read_bytes() == data for name, data in packaged.items())


def test_its_metadata_say_who_made_it_and_for_whom(wheel: Path) -> None:
    with ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        about = file.read(name).decode()
    for line in ("Author: ", "Keywords: ", "Classifier: Intended Audience", "License-Expression"):
        assert f"\n{line}" in about
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_a_wheel_of_the_sdist_is_the_same(wheel: Path, source: Path, tmp_path: Path) -> None:
    with tarfile.open(build(source, "sdist", tmp_path / "sdist")) as file:
        file.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("avdistill-*")
    assert packaged_in(build(unpacked, "wheel", tmp_path / "wheel")) == packaged_in(wheel)


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the packages of this one, but not the clone."""
    place = tmp_path_factory.mktemp("fresh")
    venv.create(place)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(place)}))
    (packages / "these.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(place / "bin/python")]
    options = ["--no-deps", "--no-index", "--ignore-installed", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    return place


def call(fresh: Path, place: Path, *command: str) -> str:
    """Run a command in the environment; the output."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = os.pathsep.join([str(fresh / "bin"), str(Path(sys.executable).parent), given["PATH"]])
    result = subprocess.run(
        command,
        cwd=place,
        env={**given, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_installed_program_writes_a_project(fresh: Path, tmp_path: Path) -> None:
    assert "ingest" in call(fresh, tmp_path, "avdistill", "--help")
    assert call(fresh, tmp_path, "avdistill", "--version") == f"avdistill {__version__}\n"
    where = "import pipeline; print(pipeline.__file__)"
    assert str(fresh) in call(fresh, tmp_path, "python", "-c", where)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    assert "ingest" in call(fresh, tmp_path, "python", "-m", "avdistill", "--help")
    for preset in list_presets():
        assert preset in call(fresh, tmp_path, "avdistill", "init", "--help")
    assert "-> mine" in call(fresh, tmp_path, "avdistill", "init", "mine", "--preset", "small")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        *(".dvc", ".dvcignore", ".git", ".gitignore", "dvc.yaml", "params.yaml")
    ]


@pytest.mark.slow
def test_dvc_runs_the_project_to_its_report(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    call(fresh, tmp_path, "avdistill", "init", "mine", "--preset", "tiny.yaml")
    call(fresh, tmp_path / "mine", "dvc", "repro")
    table = (tmp_path / "mine/report/index.txt").read_text()
    assert all(row in table for row in ("herding", "dm", "dm-fast"))
