"""A new project: packaged files, params.yaml with presets in it, and nothing half-written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.core.errors import OutputError, ParamsError, PluginError
from pipeline.core.params import load
from pipeline.core.presets import PACKAGED, list_presets, parse_yaml
from pipeline.project import FILES, create_project, render_params
from pipeline.project.yaml_patch import patch_yaml
from tests.toys.project import PARAMS, ROOT

TEXT = """# Top.
grid: # axes
  datasets: # names
  - a
  - b
  size: 2

rows:
  # The first one.
  one: {x: 1}
  two:
    x: 2 # of two
    y: {z: [1, 2]}
    w: {z: [1, 2]} # and more

end:
"""
VALUES = parse_yaml(TEXT, "text")


def patched(change: Any) -> str:
    values = parse_yaml(TEXT, "text")
    change(values)
    text = patch_yaml(TEXT, values)
    assert parse_yaml(text, "patched") == values
    return text


def test_a_patch_without_changes_is_the_text() -> None:
    assert patch_yaml(TEXT, VALUES) == TEXT


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (lambda v: v["grid"].update(datasets=["c"]), "  - a\n  - b\n", "  - c\n"),
        (lambda v: v["rows"]["two"].update(x=3), "    x: 2 # of two", "    x: 3 # of two"),
        (lambda v: v["rows"]["one"].update(w=0), "one: {x: 1}", "one: {x: 1, w: 0}"),
        (lambda v: v["rows"]["two"].update(w=[]), "w: {z: [1, 2]} # and", "w: []          # and"),
        (lambda v: v.update(new={"x": "no"}), "end:\n", "end:\nnew: {x: no}\n"),
        (lambda v: v.update(more=1.5), "end:\n", "end:\nmore: 1.5\n"),
        (lambda v: v.update(end="a: b"), "end:\n", "end: 'a: b'\n"),
        (lambda v: v.update(end="2025-11-01"), "end:\n", "end: '2025-11-01'\n"),
    ],
)
def test_a_patch_changes_its_lines_only(change: Any, old: str, new: str) -> None:
    assert patched(change) == TEXT.replace(old, new)


def test_long_values_are_broken_into_lines() -> None:
    items = {"name": "x" * 60, "values": {"all": list(range(30)), "rates": [1]}}
    lines = patched(lambda values: values["rows"].update(long=items)).splitlines()
    assert max(map(len, lines)) <= 80 and not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(
    "presets", [[], *([name] for name in list_presets()), ["small", "ablation"]]
)
def test_params_of_a_project_are_those_of_its_presets(presets: list[str], tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render_params(presets))
    whole = YAML(typ="safe").load(tmp_path / "params.yaml")
    assert load(tmp_path / "params.yaml").values == whole
    for name in presets[-1:]:
        given = load(ROOT / "presets" / f"{name}.yaml").values
        assert whole["grid"]["methods"] == given["grid"]["methods"]
    comments = [line for line in PARAMS.read_text().splitlines() if "#" in line]
    kept = [line for line in comments if line in (tmp_path / "params.yaml").read_text()]
    assert len(kept) > 0.6 * len(comments)


@pytest.mark.parametrize("presets", [[], *([name] for name in list_presets())])
def test_dvc_changes_the_edited_lines_only(presets: list[str], tmp_path: Path) -> None:
    """As `dvc exp run -S` edits the file."""
    path, text = tmp_path / "params.yaml", render_params(presets)
    path.write_text(text)
    apply_overrides(path, ["decode.logmel.n_mels=40", "ingest.mine.licence=MIT"])
    pairs = zip(text.splitlines(), path.read_text().splitlines(), strict=True)
    assert sum(old != new for old, new in pairs) == 2


def test_a_new_folder_has_the_files_and_a_repository(tmp_path: Path) -> None:
    names = create_project(tmp_path / "a/mine", [])
    assert sorted(names) == sorted(FILES)
    for name, packaged in FILES.items():
        assert (tmp_path / "a/mine" / name).read_bytes() == (PACKAGED / packaged).read_bytes()
    assert (tmp_path / "a/mine/.git").is_dir()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_an_existing_folder_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    create_project(tmp_path, [])
    assert {path.name for path in tmp_path.iterdir()} == {
        *("data", ".git", ".dvc", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore")
    }


def test_a_folder_of_a_repository_gets_none_of_its_own(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    create_project(tmp_path / "mine", [])
    assert not (tmp_path / "mine/.git").exists()


def test_git_leaves_results_to_dvc_before_a_first_run_is_whole(tmp_path: Path) -> None:
    create_project(tmp_path, [])
    graph = parse_yaml((tmp_path / "dvc.yaml").read_text(), "dvc.yaml")
    names = {key: value for row in graph["vars"] for key, value in row.items()}
    outs = [
        out if isinstance(out, str) else next(iter(out))
        for stage in graph["stages"].values()
        for out in stage["outs"]
        if isinstance(out, str) or next(iter(out.values())).get("cache", True)
    ]
    paths = [re.sub(r"\$\{([^}]*)\}", lambda found: names.get(found[1], "x"), out) for out in outs]
    listed = subprocess.run(
        ["git", "check-ignore", *paths], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert listed.stdout.split() == paths


def state_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def refuse(error: type[Exception], message: str, folder: Path, *presets: str, **more: Any) -> None:
    """The project is refused with this message, and everything is as it was."""
    root = next(parent for parent in (folder, *folder.parents) if parent.exists())
    before = state_of(root)
    with pytest.raises(error, match=message):
        create_project(folder, presets, **more)
    assert state_of(root) == before


def test_files_in_the_way_are_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("mine")
    refuse(OutputError, r"has params\.yaml, \.dvc/config already; .* --force", tmp_path)
    create_project(tmp_path, ["small"], force=True)
    assert "# Preset small:" in (tmp_path / "params.yaml").read_text()


def test_a_folder_in_place_of_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    refuse(OutputError, "has a folder in place of a file", tmp_path, force=True)


def test_what_was_moved_goes_back_where_one_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")
    (tmp_path / ".dvc").write_text("a file where a folder should be")
    refuse(OutputError, "cannot be written", tmp_path, force=True)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    refuse(OutputError, "mine is not a folder that you may write to", tmp_path / "mine" / "deep")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody may write to")
def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(OutputError, match="/proc/mine cannot be written"):
        create_project(Path("/proc/mine"), [])


def test_without_git_it_says_to_install_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    refuse(OutputError, "git is not installed; install git", tmp_path / "mine")
    (tmp_path / ".git").mkdir()
    create_project(tmp_path / "mine", [])


def test_bad_presets_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    refuse(ParamsError, "no preset 'smal'", tmp_path / "mine", "smal")
    bad.write_text("decode: {frmae: {}}")
    refuse(ParamsError, "unknown key decode.frmae, .* frame", tmp_path / "mine", str(bad))
    bad.write_text("distill: {mine: {method: jcff}}")
    refuse(PluginError, "bad.yaml: distill.mine: no method", tmp_path / "mine", str(bad))
    bad.write_text("grid: {methods: [mine]}")
    refuse(ParamsError, "grid.methods names 'mine'", tmp_path / "mine", "small", str(bad))
    bad.write_text("grid: [")
    refuse(ParamsError, "not valid YAML", tmp_path / "mine", str(bad))


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"params.yaml", "dvc.yaml"}))
def test_packaged_files_are_those_of_the_top_folder(name: str) -> None:
    """Links in a clone; in a copy of it, files that must agree. The others are a user's."""
    assert (PACKAGED / FILES[name]).read_bytes() == (ROOT / name).read_bytes()


def test_packaged_presets_are_those_of_the_top_folder() -> None:
    for path in (ROOT / "presets").glob("*.yaml"):
        assert (PACKAGED / "presets" / path.name).read_bytes() == path.read_bytes()
