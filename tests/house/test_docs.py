"""The README and docs/: commands and code in them work, and generated parts are up to date."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main
from ruamel.yaml import YAML

from pipeline.artifact import write_artifact
from pipeline.core import plugins
from stages import cli
from tests.toys.artifacts import FULL, toy_synthetic
from tests.toys.project import README, ROOT, values

PAGES = [
    str(path.relative_to(ROOT))
    for folder in (".", "benchmarks", "docs", "docs/*")
    for path in sorted(ROOT.glob(f"{folder}/*.md"))
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language: str) -> list[tuple[str, str]]:
    """Every code block of a language: its page and its text."""
    pattern = rf"^```{language}\n(.*?)^```"
    return [
        (page, block)
        for page in PAGES
        for block in re.findall(pattern, read(page), re.DOTALL | re.MULTILINE)
    ]


def commands(block: str) -> list[str]:
    """The commands of a shell block, those that are broken over lines joined."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


COMMANDS = [(page, line) for page, block in blocks("sh") for line in commands(block)]


def test_the_reading_example_gives_raw_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic = toy_synthetic()
    write_artifact(tmp_path / "seed0.h5", synthetic, FULL)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result: dict[str, object] = {}
    exec(example, result)
    for modality, rows in synthetic.rows.items():
        expected = synthetic.normalisation[modality].undo(rows).numpy()
        assert np.allclose(result["raw"][modality], expected, atol=1e-3)  # type: ignore[index]
    assert result["classes"] == list(synthetic.classes)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


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


def test_every_command_is_in_the_reference() -> None:
    headings = re.findall(r"^## ([\w-]+)$", read("docs/reference/cli.md"), re.MULTILINE)
    assert set(headings) == set(cli.STAGES)


def test_every_adapter_of_a_known_dataset_has_a_section() -> None:
    headings = re.findall(r"^## (\w+)$", read("docs/guide/datasets.md"), re.MULTILINE)
    assert set(headings) <= set(plugins.list_names("adapter"))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^):\s]+)\)", text):
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place.read_text(encoding="utf-8")), target


def test_files_that_the_design_names_exist() -> None:
    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("[ps]*/**/*.py")]
    for name in re.findall(r"`([\w/]+\.py)`", read("docs/design.md")):
        assert any(f"/{file}".endswith(f"/{name}") for file in files), name


def test_pages_that_the_code_names_exist() -> None:
    folders = ("pipeline", "stages", "benchmarks", "tests", "presets")
    files = [*ROOT.glob("*.yaml"), *(path for each in folders for path in (ROOT / each).rglob("*"))]
    for path in (path for path in files if path.suffix in (".py", ".yaml")):
        for page in re.findall(r"docs/[\w/.-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{path}: {page}"


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_python_blocks_compile(page: str, block: str) -> None:
    compile(block, page, "exec")


@pytest.mark.parametrize(
    ("page", "block"), [x for x in blocks("yaml") if x[0] != "CONTRIBUTING.md"]
)
def test_yaml_blocks_name_sections_of_the_params(page: str, block: str) -> None:
    sections = YAML(typ="safe").load(block)
    assert sections.keys() <= values().values.keys(), page


@pytest.mark.parametrize(("page", "line"), [x for x in COMMANDS if "avdistill " in x[1]])
def test_commands_parse(page: str, line: str) -> None:
    """Every `avdistill` line in the docs has arguments, options and `--set` keys that exist."""
    tokens = shlex.split(line, comments=True)
    if "avdistill" not in tokens:
        pytest.skip("a package or a folder of that name")
    words = without_variables(tokens[tokens.index("avdistill") + 1 :])
    group = typer.main.get_command(cli.app)
    context = group.make_context("avdistill", words)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, rest, parent=context)
    values(*context.params["change"] or [])


def without_variables(words: list[str]) -> list[str]:
    """The words of a command without shell variables before its name, which hold options."""
    start = next((i for i, word in enumerate(words) if word in cli.STAGES), len(words))
    head: list[str] = []
    for word in words[:start]:
        if not re.fullmatch(r"\$[A-Z]+", word):
            head.append(word)
        elif head and head[-1] == "--set":
            head.pop()
    return [*head, *words[start:]]


@pytest.mark.parametrize(("page", "line"), [x for x in COMMANDS if x[1].startswith("make ")])
def test_make_targets_exist(page: str, line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^\.PHONY:.*\b{target}\b", MAKEFILE, re.MULTILINE), page


@pytest.mark.parametrize(("page", "line"), [x for x in COMMANDS if "benchmarks/" in x[1]])
def test_benchmarks_exist(page: str, line: str) -> None:
    for script in re.findall(r"benchmarks/\w+\.py", line):
        assert (ROOT / script).exists(), page
