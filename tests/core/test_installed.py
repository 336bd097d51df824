"""Plugins of installed packages: found by name, and part of the digest of code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.core import params, plugins
from pipeline.core.code import digest_code, find_closure
from tests.toys.project import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD = '''
"""DM of an installed package."""

from pipeline.distillation.methods.dm import Distiller

__all__ = ["Distiller"]
'''
POINTS = "[avdistill.distillation.methods]\nanything = lab.plain\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `lab` with one method, as pip installs it."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "plain.py").write_text(METHOD)
    about = tmp_path / "lab-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("lab", "lab.plain"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    plugins.list_installed.cache_clear()
    yield tmp_path / "lab"
    plugins.list_installed.cache_clear()
    for module in ("lab", "lab.plain"):
        sys.modules.pop(module, None)


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
