"""CONTRIBUTING.md: its method is a plugin, and its commands are all that one needs to add it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tests.toys.commands import call, copied
from tests.toys.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(language: str, after: str) -> str:
    """Return the first code block of a language behind a text."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found
    return found[1]


def test_a_method_is_added_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copied(tmp_path / "project", symlinks=True)
    monkeypatch.setenv("PYTHONPATH", str(project))
    (path,) = re.findall(r"`(pipeline/distillation/methods/\w+\.py)`", PAGE)
    (project / path).write_text(block("python", path), encoding="utf-8")
    row = block("yaml", "Add its values")
    for params in (project / "pipeline/core/packaged/params.yaml", project / "params.yaml"):
        text = params.read_text(encoding="utf-8")
        params.write_text(text.replace("\ndistill:\n", f"\ndistill:\n{row}"), encoding="utf-8")
    *_, tested = (
        call(project, *shlex.split(line, comments=True))
        for line in block("sh", "Write its golden values").splitlines()
    )
    summary = tested.splitlines()[-1]
    assert int(re.findall(r"(\d+) passed", summary)[0]) >= 20, tested
    assert "**moments**" in (project / "docs/guide/distil.md").read_text(encoding="utf-8")
    assert (project / "tests/golden/moments.json").exists()


def test_a_method_of_ones_own_lies_beside_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_data: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (path,) = re.findall(r"as `(my_plugins/\w+\.py)`", PAGE)
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(block("python", "### A method"), encoding="utf-8")
    key, row = block("yaml", "Name the folder"), block("yaml", "Add its values")
    small = "networks: {convnet: {width: 4, grid: 2, depth: {frame: 2, logmel: 2}}}\n"
    row = row.replace("steps: 40", "steps: 2").replace("[0.5, 3.0]", "[0.5]")
    text = f"{key}{small}grid: {{seeds: [0]}}\ndistill:\n{row}"
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    for place, made in (("data/mine", "shards"), ("work/mine", "coreset")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / made).symlink_to(toy_data / made)
    checked, listed, _ = (
        call(tmp_path, *shlex.split(line, comments=True))
        for line in block("sh", "keeps the contract of its kind").splitlines()
    )
    assert checked.count("ok      method moments") == 12, checked
    assert "matches the variance of features" in listed
    assert (tmp_path / "work/mine/moments/seed0.safetensors").exists()
