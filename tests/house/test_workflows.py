"""Workflows and hooks: they parse, use no foreign actions, and call what exists."""

from __future__ import annotations

import re
import shutil

import pytest
from ruamel.yaml import YAML

from tests.toys.project import ROOT

ALLOWED = {"checkout", "setup-python", "upload-artifact", "deploy-pages"}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def steps(name: str) -> list[dict[str, object]]:
    workflow = YAML(typ="safe").load(next(path for path in WORKFLOWS if path.stem == name))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


NAMES = [path.stem for path in WORKFLOWS]


@pytest.mark.parametrize("name", NAMES)
def test_only_githubs_own_actions_are_used(name: str) -> None:
    used = [str(step["uses"]) for step in steps(name) if "uses" in step]
    assert used
    for action in used:
        owner, _, rest = action.partition("/")
        assert owner == "actions" and rest.partition("@")[0] in ALLOWED, action


@pytest.mark.parametrize("name", NAMES)
def test_what_a_workflow_runs_exists(name: str) -> None:
    commands = "\n".join(str(step["run"]) for step in steps(name) if "run" in step)
    for target in re.findall(r"\bmake (\w+)", commands):
        assert re.search(rf"^\.PHONY:.*\b{target}\b", MAKEFILE, re.MULTILINE)
    for script in re.findall(r"^\.ci/\w+", commands, re.MULTILINE):
        assert shutil.which(ROOT / script)


def test_hooks_run_the_tools_of_the_environment() -> None:
    config = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["id"] for hook in hooks} >= {"ruff-check", "ruff-format", "mypy"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)
