"""What the README says is true."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifact import write_artifact
from pipeline.core import plugins
from stages import cli
from tests.toys.artifacts import FULL, toy_synthetic
from tests.toys.project import README, ROOT


def test_the_reading_example_gives_raw_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic = toy_synthetic()
    write_artifact(tmp_path / "seed0.h5", synthetic, FULL)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    read: dict[str, object] = {}
    exec(example, read)
    for modality, rows in synthetic.rows.items():
        expected = synthetic.normalisation[modality].undo(rows).numpy()
        assert np.allclose(read["raw"][modality], expected, atol=1e-3)  # type: ignore[index]
    assert read["classes"] == list(synthetic.classes)


def test_every_command_is_in_the_readme() -> None:
    assert set(re.findall(r"^avdistill ([\w-]+) +(?:[A-Z]|--)", README, re.MULTILINE)) == set(
        cli.STAGES
    )


@pytest.mark.xfail(strict=False)  # while words change
def test_generated_pages_are_up_to_date() -> None:
    """The tree, the lists of plugins, commands and params in the docs follow from the code."""
    result = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_adapter_has_a_section() -> None:
    headings = re.findall(
        r"^## (\w+)", (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(headings) == plugins.list_names("adapter")


@pytest.mark.parametrize(
    "name", [name for name in plugins.list_names("adapter") if name != "folder"]
)
def test_every_licence_and_citation_is_in_the_table(name: str) -> None:
    source = importlib.import_module(f"pipeline.datasets.adapters.{name}").SOURCE
    line = f"| {name} | {source.name} | {source.licence} | {source.citation} |"
    assert line in (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "docs/design.md",
        "docs/artifact-format.md",
        "docs/convert.md",
        "docs/datasets.md",
        "docs/media.md",
        "docs/prototypes.md",
        "docs/scale.md",
        "docs/sharing.md",
        "docs/results.md",
        "docs/benchmarks.md",
    ],
)
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / path).parent / target).exists(), target
