"""Staleness by need: a stage's digest covers the code that it runs and the plugins that it uses."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from pipeline.core import code as digests
from pipeline.core.errors import ParamsError
from pipeline.core.params import load
from stages.code import code
from tests.house.source import MODULES, first_party, room
from tests.toys.project import GRAPH, ROOT, values

if TYPE_CHECKING:
    from pathlib import Path

TEXT = GRAPH.read_text(encoding="utf-8")
STAGES = YAML(typ="safe").load(TEXT)["stages"]
LATER = sorted(STAGES.keys() - {"code"})
STUDENTS = {"experts", "distill", "evaluate", "ceiling", "report"}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packages, which digests are made of."""
    ignored = shutil.ignore_patterns("__pycache__", "packaged")
    for package in ("pipeline", "stages"):
        shutil.copytree(ROOT / package, tmp_path / "clone" / package, ignore=ignored)
    monkeypatch.setattr(digests, "ROOT", tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the stage writes of the project as it is."""
    return written(tmp_path_factory.mktemp("code"))


def written(folder: Path, *changes: str) -> dict[str, str]:
    """What the stage `code` writes: stage, or stage.row -> digest."""
    out = folder / "code.json"
    code(out, data=folder, params=values(*changes))
    read: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))["code"]
    out.unlink()
    rows = {stage: rows if isinstance(rows, dict) else {"": rows} for stage, rows in read.items()}
    return {
        f"{stage}.{row}".rstrip("."): digest
        for stage, each in rows.items()
        for row, digest in each.items()
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Entries with another digest."""
    assert before.keys() == after.keys()
    return {name for name, digest in before.items() if after[name] != digest}


def stages_of(entries: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in entries}


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


@pytest.mark.parametrize("stage", LATER)
def test_a_digest_covers_all_that_a_stage_imports(stage: str) -> None:
    """Found again by the house's own reading of imports."""
    waiting, imported = {f"stages.{stage}"}, set[str]()
    while waiting:
        imported |= waiting
        waiting = {
            name for module in waiting for name in first_party(module, at_run_time=True)
        } - imported
    closure = digests.find_closure([f"stages.{stage}"])
    assert imported <= closure.keys() <= MODULES.keys()


@pytest.mark.parametrize("stage", LATER)
def test_a_comment_names_the_rooms_of_a_digest(stage: str) -> None:
    rooms = {room(name) for name in digests.find_closure([f"stages.{stage}"])}
    comment = re.search(rf"\n  # ([a-z, ]+)(;.*)?\n  {stage}:\n", TEXT)
    assert comment
    assert set(comment[1].split(", ")) == rooms - {"pipeline", "stages"}


@pytest.mark.parametrize("stage", LATER)
def test_a_stage_depends_on_its_own_entry(stage: str, entries: dict[str, str]) -> None:
    entry, *media = STAGES[stage]["params"][0]["${code}"]
    assert media == ["media.${item.dataset}"] * (stage == "ingest")
    axis = {"ingest": "generated", "extract": "convnet", "distill": "dm"}.get(stage)
    assert re.sub(r"\$\{.*\}", str(axis), entry).removeprefix("code.") in entries
    assert entry.startswith(f"code.{stage}") and ("$" in entry) == bool(axis)


def test_every_row_of_the_grid_has_an_entry(tmp_path: Path) -> None:
    entries = written(
        tmp_path, "grid.methods=[dm, dc]", "report.baseline=dm", "grid.datasets=[generated, mine]"
    )
    assert {"distill.dm", "distill.dc", "ingest.generated", "ingest.mine"} <= entries.keys()
    assert "distill.jcf" not in entries


def test_a_new_plugin_changes_no_digest(clone: Path) -> None:
    before = written(clone)
    (clone / "pipeline" / "kd" / "methods" / "new.py").write_text("X = 1\n")
    (clone / "pipeline" / "models" / "heads" / "new.py").write_text("X = 1\n")
    assert written(clone) == before


def test_a_row_that_nobody_names_changes_no_digest(tmp_path: Path, entries: dict[str, str]) -> None:
    changes = ("heads.concat={head: sum}", "networks.vit.width=32")
    assert written(tmp_path, *changes) == entries


def test_comments_docstrings_and_layout_change_no_digest(clone: Path) -> None:
    before = written(clone)
    for path in clone.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'^( *)"""(?=\S)', r'\1"""Other words. ', text, flags=re.MULTILINE)
        path.write_text(f"# A comment.\n\n{text}\n# Another.\n", encoding="utf-8")
    assert written(clone) == before


def test_a_changed_line_of_a_head_changes_the_stages_that_use_it(clone: Path) -> None:
    before = written(clone)
    append(clone / "pipeline" / "models" / "heads" / "concat.py", "X = 1")
    assert written(clone) == before
    append(clone / "pipeline" / "models" / "heads" / "ensemble.py", "X = 1")
    assert stages_of(changed(before, written(clone))) == STUDENTS | {"extract"}


def test_a_changed_method_changes_its_own_cells(clone: Path) -> None:
    before = written(clone)
    append(clone / "pipeline" / "distillation" / "methods" / "dm.py", "X = 1")
    assert changed(before, written(clone)) == {"distill.dm"}


def test_a_changed_room_changes_the_stages_that_run_it(clone: Path) -> None:
    before = written(clone)
    append(clone / "pipeline" / "media" / "timeline.py", "X = 1")
    assert stages_of(changed(before, written(clone))) == {"decode", "report", "ingest"}


def test_a_value_of_a_named_row_changes_the_stages_that_name_it(
    tmp_path: Path, entries: dict[str, str]
) -> None:
    after = written(tmp_path, "networks.convnet.width=8")
    assert stages_of(changed(entries, after)) == STUDENTS | {"extract"}


def test_a_short_row_depends_on_the_row_that_it_starts_from(tmp_path: Path) -> None:
    """DVC reads params.yaml as it is, and so cannot know."""
    path, entries = tmp_path / "params.yaml", []
    for steps in (4, 5):
        path.write_text(
            f"grid: {{methods: [dm, idm, dm-fast]}}\nreport: {{baseline: dm}}\n"
            f"distill: {{dm: {{steps: {steps}}}, dm-fast: {{method: dm, batch_real: 2}}}}\n"
        )
        code(tmp_path / f"{steps}.json", data=tmp_path, params=load(path))
        entries.append(json.loads((tmp_path / f"{steps}.json").read_text())["code"]["distill"])
    assert changed(*entries) == {"dm", "dm-fast"}


def test_a_template_belongs_to_the_modules_beside_it(clone: Path) -> None:
    before = written(clone)
    templates = clone / "pipeline" / "report" / "templates"
    templates.mkdir(exist_ok=True)
    (templates / "new.html").write_text("<p>")
    assert changed(before, written(clone)) == {"report"}


def test_imports_for_type_checkers_do_not_count(clone: Path) -> None:
    path = clone / "pipeline" / "core" / "rng.py"
    before = digests.digest_code(["pipeline.core.rng"])
    append(path, "from typing import TYPE_CHECKING")
    typed = digests.digest_code(["pipeline.core.rng"])
    append(path, "if TYPE_CHECKING:\n    from pipeline.core.scores import Scores")
    assert digests.digest_code(["pipeline.core.rng"]) == typed != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("report.baseline=dc", r"report\.baseline is 'dc', which is not in grid\.methods; add it"),
        (
            "grid.selectors=[random]",
            r"distill\.herding\.coreset is 'herding', which is not in",
        ),
        ("evaluate.run=[{protocol: fast}]", r"evaluate\.run names 'fast', .* it has avdd, budget"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused_first(
    change: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ParamsError, match=message):
        written(tmp_path, change)
    assert not (tmp_path / "code.json").exists()
