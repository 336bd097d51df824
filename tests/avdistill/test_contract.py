"""The contract suite: it passes plugins that keep the contract, and names each fact that fails."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.core import plugins
from pipeline.project import load_params, use_plugins
from stages.contract.run import FACTS, FAILED, UNTRIED, examine, facts_of, find_plugins, main, spell
from tests.toys.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = '''"""A toy."""

from dataclasses import dataclass, replace

import torch

'''
METRIC = '''
from pipeline.evaluation.metrics import sum_per_clip


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The probability of the right class."""

    scale: float

    def per_clip(self, probabilities, label, clip):
        right = probabilities.gather(1, label[:, None])[:, 0] * self.scale
        return sum_per_clip(right, clip)
'''
SELECTOR = '''
from pipeline.coresets.rankings import Ranking


@dataclass(frozen=True, kw_only=True)
class Selector:
    """The first samples."""

    def rank(self, features):
        rows = list(zip(features.keys, features.label, strict=True))
        return Ranking({
            name: tuple(key for key, label in rows if label == number)
            for number, name in enumerate(features.classes)
        })
'''
NETWORK = '''
from pipeline.models.towers import Towers


@dataclass(frozen=True, kw_only=True)
class Network:
    """One convolution."""

    width: int

    def build(self, shapes, generator):
        towers = {
            m: torch.nn.Sequential(torch.nn.Conv2d(shape[-3], self.width, 3), torch.nn.ReLU(),
                                   torch.nn.AdaptiveAvgPool2d(2))
            for m, shape in shapes.items()
        }
        return Towers(towers, shapes, generator)
'''
HEADS = '''
from pipeline.models.heads._classifier import Classifier, build_linear


@dataclass(frozen=True, kw_only=True)
class Head:
    """A classifier of frames."""

    gives = "classes"

    def build(self, features, classes, generator):
        class First(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = build_linear(features["frame"], classes, generator)

            def forward(self, given):
                return self.layer(given[0])

        return Classifier({"frame": First()})
'''
METHOD = '''
from pipeline.distillation.methods.dm import Distiller as DM


@dataclass(frozen=True, kw_only=True)
class Distiller(DM):
    """DM."""

    def distill(self, inputs, *, ipc, seed, runtime):
        result = super().distill(inputs, ipc=ipc, seed=seed, runtime=runtime)
        return result
'''
ROWS = {
    "metric": ("metrics", "{scale: 1.0}", METRIC),
    "selector": ("coreset", "{}", SELECTOR),
    "network": ("networks", "{width: 3}", NETWORK),
    "head": ("heads", "{}", HEADS),
    "method": (
        "distill",
        "{network: convnet, start: herding, steps: 2, batch_real: 4, momentum: 0.5, "
        "rates: {frame: [0.5], logmel: [0.5]}, formation: {frame: [1, 1], logmel: [1, 1]}, "
        "augment: {frame: [flip], logmel: [gain]}}",
        METHOD,
    ),
}
SPOILT = "result.synthetic.rows['frame']"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    use_plugins()


def write(folder: Path, kind: str, old: str = "", new: str = "") -> Path:
    """A project with one plugin of a kind, named mine; return its params file."""
    section, row, source = ROWS[kind]
    assert old in source
    (folder / "lab").mkdir()
    (folder / "lab" / "mine.py").write_text(HEAD + source.replace(old, new, 1 if old else 0))
    (folder / "params.yaml").write_text(f"plugins: lab\n{section}:\n  mine: {row}\n")
    return folder / "params.yaml"


def failures(kind: str, params_file: Path) -> list[str]:
    """The names of the checks that fail."""
    params = load_params(params_file)
    assert find_plugins([]) == [(kind, "mine")]
    verdicts = [*examine(kind, "mine", params, params_file.parent)]
    facts = {spell(check): check.__name__ for check in facts_of(kind)}
    return [facts.get(each.fact, each.fact) for each in verdicts if each.outcome == FAILED]


@pytest.mark.parametrize("kind", ROWS)
def test_a_plugin_that_keeps_the_contract_passes(kind: str, tmp_path: Path) -> None:
    assert failures(kind, write(tmp_path, kind)) == []


@pytest.mark.parametrize(
    ("kind", "old", "new", "check"),
    [
        ("metric", "scale: float", "scale: float = 1.0", "check_defaults"),
        ("metric", "frozen=True, kw_only", "kw_only", "check_frozen"),
        ("metric", "frozen=True, kw_only=True", "frozen=True", "check_frozen"),
        ("metric", "scale: float", "size: float", "params build it"),
        ("metric", "* self.scale", "* -self.scale", "check_range"),
        ("metric", "* self.scale", "* 7", "check_range"),
        ("metric", "* self.scale", "* torch.rand(1)", "check_counts_twice"),
        (
            "metric",
            "return sum",
            "label += 0 * label + 1\n        return sum",
            "check_counts_twice",
        ),
        ("metric", "return sum_per_clip(right, clip)", "return right, right", "check_counts"),
        ("selector", "key for key", "'same' for key", "check_ranking"),
        ("selector", "if label == number)", "if label != number)", "check_ranking"),
        ("network", "torch.nn.ReLU()", "torch.nn.Dropout(0.5)", "check_towers"),
        ("network", "generator)\n", "torch.Generator())\n", "check_tower_weights"),
        ("network", "torch.nn.ReLU()", "torch.nn.Hardtanh(9, 10)", "check_tower_gradients"),
        ("head", '"classes"\n', '"vectors"\n', "check_outputs"),
        ("head", "generator)\n\n", "torch.Generator())\n\n", "check_head_weights"),
        ("head", "given[0])", "given[0]).detach()", "check_loss"),
        ("method", "return result", f"{SPOILT} += torch.rand(1)\n        return result", "bits"),
        ("method", "return result", f"{SPOILT}[0, 0, 0] /= 0\n        return result", "check_set"),
        ("method", "result =", "inputs.real.label[0] = 1\n        result =", "check_inputs"),
        ("method", "inputs, ipc=", "inputs, ipc=3 - ", "check_set"),
    ],
)
def test_a_fault_is_found(kind: str, old: str, new: str, check: str, tmp_path: Path) -> None:
    found = failures(kind, write(tmp_path, kind, old, new))
    assert any(check in name for name in found), found


def test_a_plugin_without_a_row_says_where_its_values_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "metric")
    file.write_text("plugins: lab\n")
    assert main(["--params-file", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "has no metrics.mine; write its values there" in printed
    assert printed.endswith("1 of 1 facts fail\n")


def test_files_that_an_adapter_reads_are_named_by_an_option(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["folder", "--params-file", str(ROOT / "pipeline/core/packaged/params.yaml")]) == 0
    assert capsys.readouterr().out.count(UNTRIED) == 4
    assert main(["generated", "--root", str(media)]) == 0
    assert UNTRIED not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "message"),
    [([], "there is no plugin from outside; name a folder"), (["dmm"], "no plugin named 'dmm'")],
)
def test_nothing_to_check_is_a_sentence(
    names: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(names) == 1
    assert message in capsys.readouterr().err


def test_every_kind_has_facts() -> None:
    assert FACTS.keys() == plugins.KINDS.keys()
    assert all(str(check.__doc__).startswith("Check that") for k in FACTS for check in facts_of(k))


def test_the_module_exits_with_one_where_a_fact_fails(tmp_path: Path) -> None:
    write(tmp_path, "metric", "* self.scale", "* 7")
    command = [sys.executable, "-m", "avdistill.contract"]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert "FAILED  metric mine: perfect predictions score best" in result.stdout
    assert "ok      metric mine: params build it" in result.stdout


def test_the_engine_of_this_machine_keeps_the_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["local"]) == 0, capsys.readouterr().out
