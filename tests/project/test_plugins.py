"""Plugins from outside: of installed packages, and of a folder that the params file names."""

from __future__ import annotations

import json
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pipeline.core import params, plugins
from pipeline.core.code import digest_code, find_closure
from pipeline.core.errors import PipelineError
from pipeline.project import load_params, use_plugins
from pipeline.project import plugins as outside
from tests.toys.commands import refused, run
from tests.toys.project import PARAMS as PACKAGED
from tests.toys.project import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD = '''
"""DM of somebody else."""

from pipeline.distillation.methods.dm import Distiller

__all__ = ["Distiller"]
'''
METRIC = '''
"""A metric of one number."""

from dataclasses import dataclass

from pipeline.datasets.adapters.folder import Dataset

from . import _helpers
from ._more import TWO


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Half or two."""

    half: float


def task(name):
    return _helpers.HALF * TWO
'''
PARAMS = "plugins: mine\nmetrics:\n  halves:\n    half: 0.5\n"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """No test leaves a plugin behind."""
    before = set(sys.modules)
    outside._list_installed.cache_clear()
    yield
    outside._list_installed.cache_clear()
    use_plugins()
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("lab", "mine"):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `lab` with one method, as pip installs it."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("import torch.no_such_module\n")
    (tmp_path / "lab" / "plain.py").write_text(METHOD)
    about = tmp_path / "lab-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[avdistill.plugins]\nanything = lab.plain\n")
    monkeypatch.syspath_prepend(tmp_path)
    use_plugins()  # which imports nothing
    (tmp_path / "lab" / "__init__.py").write_text("")
    return tmp_path / "lab"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A params file and a metric of its own, with two helpers."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "halves.py").write_text(METRIC)
    (tmp_path / "mine" / "_helpers.py").write_text("HALF = 0.5\n")
    (tmp_path / "mine" / "_more.py").write_text("TWO = 2\n")
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def test_a_plugin_of_an_installed_package_is_found_by_its_module(package: Path) -> None:
    names = plugins.list_names("method")
    assert "plain" in names and "anything" not in names
    assert plugins.module_name("method", "plain") == "lab.plain"
    section = values().get_section("distill.dm")
    assert params.build(plugins.find("method", "plain"), section, "distill.plain").steps == 40
    assert "plain" not in plugins.list_names("kd method")


def test_its_code_counts_and_that_of_other_packages_does_not(package: Path) -> None:
    closure = find_closure([], ["lab.plain"])
    assert closure["lab.plain"] == package / "plain.py" and "lab" in closure
    assert "pipeline.distillation.methods.dm" in closure and "torch" not in closure
    assert not find_closure([], ["torch"])
    before = digest_code(["lab.plain"])
    (package / "plain.py").write_text(METHOD + "\nMORE = 1\n")
    assert digest_code(["lab.plain"]) != before


def test_an_entry_point_without_a_module_is_a_sentence(package: Path) -> None:
    (package / "plain.py").unlink()
    with pytest.raises(PipelineError, match=r"lab\.plain, and there is no such module"):
        use_plugins()
    assert not plugins.OUTSIDE


def test_a_plugin_of_the_params_folder_is_found_by_its_file(project: Path) -> None:
    given = load_params(project / "params.yaml")
    assert plugins.build("metric", "halves", given).half == 0.5
    assert plugins.module_name("metric", "halves") == "mine.halves"
    assert "halves" not in plugins.list_names("adapter")  # a class of its own comes first
    load_params(PACKAGED)
    assert "halves" not in plugins.list_names("metric") and "mine.halves" not in sys.modules


def test_the_digest_covers_a_plugin_and_its_helpers_wherever_they_lie(project: Path) -> None:
    def digest(place: Path) -> str:
        load_params(place / "params.yaml")
        return digest_code([plugins.module_name("metric", "halves")])

    before, other = digest(project), project / "elsewhere"
    (other / "mine").mkdir(parents=True)
    for name in ("params.yaml", "mine/halves.py", "mine/_helpers.py", "mine/_more.py"):
        (other / name).write_bytes((project / name).read_bytes())
    assert digest(other) == before
    for name in ("_helpers", "_more", "halves"):
        path = other / "mine" / f"{name}.py"
        path.write_text(path.read_text() + "\nMORE = 1\n")
        changed = digest(other)
        assert changed != before
        before = changed
    (other / "mine" / "_unused.py").write_text("MORE = 1\n")
    assert digest(other) == before


def test_spawned_processes_and_threads_find_it(project: Path) -> None:
    load_params(project / "params.yaml")
    task = plugins.import_plugin("metric", "halves").task
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(task, ["a"]) == [1.0]
    with ThreadPoolExecutor(4) as threads:
        read = [threads.submit(load_params, project / "params.yaml") for _ in range(8)]
        assert all("halves" in each.result().values["metrics"] for each in read)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("broken", "class Metric(", r"mine/broken\.py is no Python \(line 1: "),
        ("broken", "class Other:\n    pass", r"mine/broken\.py defines no class of a plugin"),
        ("broken", "class Task: 0\nclass Head: 0", r"mine/broken\.py defines Head and Task"),
        ("accuracy", METRIC, r"mine/accuracy\.py: there is a metric 'accuracy' already"),
    ],
)
def test_a_file_that_is_no_plugin_is_a_sentence(
    project: Path, name: str, text: str, message: str
) -> None:
    (project / "mine" / f"{name}.py").write_text(text)
    with pytest.raises(PipelineError, match=message):
        load_params(project / "params.yaml")
    assert not plugins.OUTSIDE


def test_a_plugin_that_cannot_be_imported_is_a_sentence(project: Path) -> None:
    (project / "mine" / "_more.py").write_text("TWO = 1 // 0\n")
    load_params(project / "params.yaml")
    with pytest.raises(PipelineError, match=r"the metric mine\.halves cannot be imported \(Zero"):
        plugins.find("metric", "halves")


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("absent", "absent holds no file NAME.py"),
        ("[a, b]", "expected the path of a folder"),
        ("json", "has the name of a package that Python finds first"),
    ],
)
def test_a_folder_that_is_none_is_a_sentence(project: Path, folder: str, message: str) -> None:
    (project / "json").mkdir()
    (project / "json" / "halves.py").write_text(METRIC)
    (project / "params.yaml").write_text(f"plugins: {folder}\n")
    with pytest.raises(PipelineError, match=message):
        load_params(project / "params.yaml")
    assert sys.modules["json"] is json


def test_commands_find_it_beside_their_params_file(project: Path) -> None:
    listed = run("list", "metrics", params=project / "params.yaml")
    assert "halves    A metric of one number." in listed.stdout, listed.stderr
    (project / "mine" / "halves.py").write_text("class Metric(")
    assert "halves.py is no Python" in refused("list", "metrics", params=project / "params.yaml")
