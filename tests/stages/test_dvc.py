"""The graph: every preset is a graph, and a change runs what it touches."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.presets import list_presets
from pipeline.project import render_params
from tests.toys.commands import SMALL, call, copied
from tests.toys.project import values

if TYPE_CHECKING:
    from collections.abc import Iterator


def ran(text: str) -> set[str]:
    """Stages that DVC ran, or would run."""
    return set(re.findall(r"Running stage '([^']+)'", text))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's files in a git repository of its own."""
    place = copied(tmp_path / "project")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"],
    ):
        call(place, "git", *command)
    return place


@pytest.mark.parametrize("preset", list_presets())
def test_every_preset_is_a_graph(preset: str, project: Path) -> None:
    (project / "params.yaml").write_text(render_params([preset]))
    grid = YAML(typ="safe").load(project / "params.yaml")["grid"]
    cells = len(grid["datasets"]) * len(grid["methods"]) * len(grid["ipcs"])
    # Without --force DVC 3.67 looks into its run cache, and fails there on a file that an earlier
    # stage has yet to write.
    assert (
        len(ran(call(project, "dvc", "repro", "--dry", "--force")))
        == 6 * len(grid["datasets"]) + 4 * cells + 2
    )


@pytest.mark.slow
def test_a_change_runs_what_it_touches(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph at toy size: only `code` runs twice, and an edit runs one method's cells."""
    small = values(
        *SMALL,
        "grid.methods=[herding, dm]",
        "report.baseline=herding",
        "ingest.generated.train=6",
        "grid.ipcs=[1]",
    )
    with (project / "params.yaml").open("w") as stream:
        YAML().dump(small.values, stream)
    monkeypatch.setenv("PYTHONPATH", str(project))
    first = call(project, "dvc", "repro")
    assert {
        "ingest@generated",
        "distill@generated-dm-1",
        "evaluate@generated-herding-1",
        "report",
    } <= ran(first)
    assert ran(call(project, "dvc", "repro")) == {"code"}
    edit_unused_code(project)
    assert ran(call(project, "dvc", "repro")) == {"code"}
    append(project / "pipeline" / "distillation" / "methods" / "dm.py", "X = 1")
    # The sets are the same: nothing follows but the page, if the seconds differ.
    edited = {"code", "distill@generated-dm-1"}
    assert ran(call(project, "dvc", "repro")) - {"report"} == edited
    assert "generated" in call(project, "dvc", "metrics", "show")
    assert "distill@generated-dm-1" in call(project, "dvc", "dag")
    call(project, "dvc", "plots", "show")
    assert "instances per class" in (project / "dvc_plots" / "index.html").read_text()
    small.values["distill"]["dm"]["steps"] = 3
    with (project / "params.yaml").open("w") as stream:
        YAML().dump(small.values, stream)
    again = ran(call(project, "dvc", "repro"))
    assert again == {
        "code",
        "distill@generated-dm-1",
        "export@generated-dm-1",
        "evaluate@generated-dm-1",
        "publish@generated-dm-1",
        "report",
    }
    call(project, "git", "add", "-A")
    call(project, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "results")
    experiment = call(project, "dvc", "exp", "run", "-S", "distill.dm.steps=2")
    assert "distill@generated-dm-1" in experiment
    assert_comparisons(project)


@pytest.mark.parametrize("place", ["clone", "elsewhere"])
def test_an_edit_of_code_runs_the_stages_that_run_it(
    place: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a project whose packages are installed elsewhere."""
    code = project
    if place == "elsewhere":
        code = tmp_path / "installed"
        code.mkdir()
        for package in ("avdistill", "pipeline", "stages"):
            (project / package).rename(code / package)
    monkeypatch.setenv("PYTHONPATH", str(code))
    command = ("dvc", "repro", "ingest@generated")
    assert ran(call(project, *command)) == {"code", "ingest@generated"}
    edit_unused_code(code)
    assert ran(call(project, *command)) == {"code"}
    append(code / "pipeline" / "datasets" / "adapters" / "generated.py", "X = 1")
    assert ran(call(project, *command)) == {"code", "ingest@generated"}


def test_changed_media_are_noticed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where ingest writes media itself; it says which clips went."""
    monkeypatch.setenv("PYTHONPATH", str(project))
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("train: 40", "train: 3"))
    command, both = ("dvc", "repro", "ingest@generated"), {"code", "ingest@generated"}
    assert ran(call(project, *command)) == both
    assert ran(call(project, *command)) == {"code"}
    (project / "data/generated/media/train/sonar/0000.mp4").unlink()
    text = call(project, *command)
    assert ran(text) == both and "1 removed (train-sonar-0000)" in text
    assert ran(call(project, *command)) == {"code"}


def edit_unused_code(code: Path) -> None:
    """Add a KD method and a head, and reword docstrings of every room."""
    (code / "pipeline" / "kd" / "methods" / "new.py").write_text("X = 1\n")
    (code / "pipeline" / "models" / "heads" / "new.py").write_text("X = 1\n")
    for path in (code / "pipeline").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'^"""(?=\S)', '"""Other words. ', text), encoding="utf-8")


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_git_ignores_the_outputs_that_dvc_keeps(project: Path) -> None:
    """Also after a run that failed: DVC has written no .gitignore of its own then."""
    graph = YAML(typ="safe").load(project / "dvc.yaml")
    plain = [re.sub(r"\$\{(\w+\.)?(\w+)\}", r"\2", str(out)) for out in list_kept(graph)]
    outs = ["code.json" if out == "code" else out.replace("page/", "report/") for out in plain]
    tracked = ["dvc.lock", "data/mine/shards.json", "report/index.txt", "report/index.json"]
    assert len(outs) > 15
    assert call(project, "git", "check-ignore", *outs, *tracked).split() == outs


def list_kept(graph: dict[str, Any]) -> Iterator[str]:
    """Outputs in DVC's cache."""
    for stage in graph["stages"].values():
        for out in stage["outs"]:
            name, options = (out, {}) if isinstance(out, str) else next(iter(out.items()))
            if options.get("cache", True):
                yield name


def assert_comparisons(project: Path) -> None:
    """DVC shows two runs that differ in dm's steps: changed numbers, two curves, a table."""
    changed = json.loads(call(project, "dvc", "metrics", "diff", "--json"))
    assert changed.keys() == {"report/index.json"}
    assert all(name.startswith("generated.dm-ipc1.") for name in changed["report/index.json"])
    assert json.loads(call(project, "dvc", "params", "diff", "--json"))["params.yaml"].keys() == {
        "distill.dm.steps"
    }
    call(project, "dvc", "plots", "diff", "HEAD")
    page = (project / "dvc_plots" / "index.html").read_text()
    assert page.count("vega") > 1 and "workspace" in page
    rows = list(
        csv.DictReader(io.StringIO(call(project, "dvc", "exp", "show", "--csv", "--only-changed")))
    )
    assert any(row.get("distill.dm.steps") == "2" for row in rows)
