"""The house: floors, one door per third-party library; dvc.yaml, stages and params agree."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from pipeline.core.presets import PACKAGED
from tests.house.rules import RULES
from tests.house.source import MODULES, first_party, floor, imports, room
from tests.toys.project import GRAPH, PARAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOORS = {
    "av": {
        *(
            f"pipeline.media.{name}"
            for name in (
                "blocks",
                "container",
                "decord_backend",
                "encode",
                "geometry",
                "packets",
                "placement",
                "pyav_backend",
                "timeline",
                "tracks",
            )
        ),
        "pipeline.media.selftest.write",
    },
    "csv": {"pipeline.core.csv"},
    "decord": {"pipeline.media.decord_backend"},
    "filelock": {"pipeline.core.files"},
    "h5py": {"pipeline.core.hdf5", "pipeline.core.hdf5_guard"},
    "jinja2": {"pipeline.report.html.page"},
    "llvmlite": {"pipeline.models.kernels.cpu._product"},
    "numba": {"pipeline.models.kernels.cpu._kernels", "pipeline.models.kernels.cpu._product"},
    "pydantic": {"pipeline.core.params"},
    "ray": {"pipeline.shards.engines.ray"},
    "rich": {"stages._progress"},
    "ruamel": {"pipeline.core.presets", "pipeline.project.yaml_patch"},
    "safetensors": {"pipeline.core.tensors"},
    "tabulate": {"pipeline.report.text.readers"},
    "torchaudio": {"pipeline.media.logmel"},
    "transformers": {"pipeline.features.extractors._transformers"},
    "triton": {f"pipeline.models.kernels.cuda.{name}" for name in ("_kernels", "blocks", "rows")},
    "typer": {"stages._arguments", "stages.cli"},
    "upath": {"pipeline.core.paths"},
    "webdataset": {"pipeline.shards.read", "pipeline.shards.write"},
}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"pipeline", "stages"}))
def test_imports_run_down(module: str) -> None:
    for target in first_party(module):
        assert room(target) == room(module) or floor(target) > floor(module), (
            f"{module} imports {target}"
        )


@pytest.mark.parametrize("library", sorted(DOORS))
def test_one_door_per_library(library: str) -> None:
    assert {
        module for module in MODULES if library in {name.split(".")[0] for name in imports(module)}
    } == DOORS[library]


def test_library_prints_nothing_and_owns_no_path() -> None:
    for module, path in MODULES.items():
        if module.startswith("pipeline"):
            calls = [
                node
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call)
            ]
            assert not [
                call
                for call in calls
                if ast.unparse(call.func) in ("print", "os.environ.get", "os.getenv")
            ], module


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_is_kept(rule: Callable[[], Iterator[str]]) -> None:
    broken = list(rule())
    assert not broken, f"{rule.__doc__} Broken by:\n" + "\n".join(broken)


def read_yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


STAGES = read_yaml(GRAPH)["stages"]
SHARED = read_yaml(GRAPH)["artifacts"]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_is_one_word_in_three_places(stage: str) -> None:
    from stages import cli

    assert f"stages.{stage}" in MODULES
    assert stage in cli.STAGES
    assert stage in {*read_yaml(PARAMS), "code"}
    assert STAGES[stage]["cmd"].split()[:2] == ["avdistill", stage]


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_shared_artifact_is_a_set_that_the_graph_publishes(name: str) -> None:
    entry, grid = SHARED[name], read_yaml(PARAMS)["grid"]
    cell = entry["meta"]
    assert name == f"{cell['dataset']}-{cell['method']}-ipc{cell['ipc']}"
    assert all(cell[axis] in grid[f"{axis}s"] for axis in ("dataset", "method", "ipc", "seed"))
    (out,) = STAGES["publish"]["outs"]
    for axis in ("dataset", "method", "ipc"):
        out = out.replace(f"${{item.{axis}}}", str(cell[axis]))
    assert entry["path"] == f"{out}/seed{cell['seed']}.h5"


def keys_of(value: object) -> set[str]:
    return (
        set(value) | {key for child in value.values() for key in keys_of(child)}
        if isinstance(value, dict)
        else set()
    )


@pytest.mark.parametrize(
    "path",
    [PARAMS, *sorted((PACKAGED / "presets").glob("*.yaml"))],
    ids=lambda path: path.name,
)
def test_no_key_that_dvc_ignores(path: Path) -> None:
    assert not keys_of(read_yaml(path)) & {"size", "nfiles"}
