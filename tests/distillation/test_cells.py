"""A cell from the command line: the dry run, names of runs, losses of stopped runs, bad input."""

from __future__ import annotations

import csv
import dataclasses
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import CellError
from pipeline.core.records import RealSet
from pipeline.coresets.rankings import Ranking
from pipeline.distillation import dry_run as estimates
from pipeline.distillation import run as cells
from pipeline.distillation.dry_run import describe, estimate
from pipeline.distillation.methods.jcf import Candidate
from stages import cli
from tests.toys.cells import cell
from tests.toys.golden import distiller as golden
from tests.toys.golden import rows_of_golden, rows_with_experts
from tests.toys.plugins import toy_inputs
from tests.toys.project import PARAMS, ROOT, TINY
from tests.toys.samples import toy_real, write_split

TWO = {"frame": (0.1, 0.2), "logmel": (0.1, 0.2)}


def message(method: str, **changes: Any) -> dict[str, str]:
    """The estimate's lines by their first word."""
    lines = describe(estimate(cell(method, **changes), [0, 1])).splitlines()
    return dict(line.split(": ", maxsplit=1) for line in lines)


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_an_estimate_is_made_of_real_steps(method: str) -> None:
    lines = message(method, steps=50, rates=TWO)
    assert lines[method] == "2 classes x ipc 2 = 4 stored rows"
    assert lines["frame"] == "rows of 1 x 3 x 8 x 8, 2 x 2 pieces each: 16 training instances"
    assert lines["real set"].startswith("24 samples, 0.0 MiB, within the 64 of --memory-mb")
    assert re.fullmatch(r"[\d,]+ parameters in its towers", lines["network"])
    assert lines["runs"].startswith(
        "4 of 50 steps: 2 candidates with seed 0, then seeds 0, 1, one less"
    )
    assert re.fullmatch(r"[\d.e-]+ s, measured from 4 real steps on this machine", lines["step"])
    assert lines["time"].startswith("about ") and lines["time"].endswith(
        "choose among the candidates are not included"
    )


@pytest.mark.parametrize("method", rows_of_golden(moves=False))
def test_an_estimate_says_that_nothing_is_optimised(method: str) -> None:
    assert message(method)["runs"] == f"none, {method} optimises nothing; 2 sets, in seconds"


def test_an_estimate_of_one_candidate_has_no_choice() -> None:
    lines = message("dm", steps=1)
    assert lines["runs"] == "2 of 1 steps: seeds 0, 1"
    assert lines["step"].endswith("measured from 1 real step on this machine")
    assert "students" not in lines["time"]


def test_an_estimate_looks_past_a_candidate_that_moves_nothing() -> None:
    own = golden("jcf")
    moving = Candidate(
        rates={"frame": 0.5, "logmel": 0.5},
        formation=own.formation,
        temperature=own.temperature,
    )
    lines = message("jcf", steps=50, rates={"frame": (0.0,), "logmel": (0.0,)}, others=(moving,))
    assert lines["runs"].startswith("3 of 50 steps: 1 candidate with seed 0, then seeds 0, 1")


def test_slow_steps_end_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "LONGEST_S", 0.0)
    assert "measured from 1 real step on" in message("dm", steps=50)["step"]


@pytest.mark.parametrize(("warms", "steps"), [(False, 1), (True, 2)])
def test_a_first_step_that_compiles_is_not_what_is_measured(
    warms: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "LONGEST_S", 0.0)
    watch = estimates._PaceReporter(warms)
    for done in range(1, steps):
        watch(done, 10)
    with pytest.raises(estimates._EnoughError):
        watch(steps, 10)


def test_an_estimate_says_what_is_streamed() -> None:
    assert (
        "more than the 0 of --memory-mb: moved to the device batch by batch"
        in message("dm", memory_mb=0.001)["real set"]
    )


def test_an_estimate_has_the_parameters_of_the_towers() -> None:
    given = cell("dm")
    network = given.distiller.network_of(given.inputs)
    towers = network.build(toy_real().shapes, torch.Generator())
    assert estimate(given, [0]).parameters == sum(
        weights.numel() for weights in towers.parameters()
    )


def test_an_estimate_refuses_what_the_cell_would() -> None:
    with pytest.raises(CellError, match="idm works with a bank of experts and none was given"):
        estimate(dataclasses.replace(cell("idm"), inputs=toy_inputs(bank=None)), [0])


class Calls:
    """A report that keeps its calls, and may stop the work at its n-th call."""

    def __init__(self, stop: int = 0) -> None:
        self.stop, self.calls = stop, []  # type: ignore[var-annotated]

    def __call__(self, done: int, total: int, **figures: Any) -> None:
        self.calls.append(
            (done, total, {key: value for key, value in figures.items() if key != "loss"})
        )
        if len(self.calls) == self.stop:
            raise KeyboardInterrupt


def test_each_run_is_named_by_its_number(tmp_path: Path) -> None:
    report = Calls()
    cells.distil(
        cell("dm", report=report, steps=1, rates=TWO), [3, 5], tmp_path / "out", tmp_path / "work"
    )
    figures = [own for _, _, own in report.calls]
    assert figures[:2] == [{"candidate": "1 of 2"}, {"candidate": "2 of 2"}]
    assert figures[-1] == {"seed": "5 (2 of 2)"}


def test_a_candidate_that_cannot_begin_is_refused_before_another_has_begun(tmp_path: Path) -> None:
    report, ranking = Calls(), toy_inputs().coresets["herding"].ranking
    few = Ranking({label: keys[:6] for label, keys in ranking.select(12).items()})
    finer = Candidate(
        rates={"frame": 0.5, "logmel": 0.5},
        formation={"frame": (2, 2), "logmel": (4, 2)},
        temperature={"frame": 4.0, "logmel": 4.0},
    )
    given = cell("jcf", report=report, others=(finer,))
    coresets = {"herding": dataclasses.replace(given.inputs.coresets["herding"], ranking=few)}
    given = dataclasses.replace(
        given, ipc=1, inputs=dataclasses.replace(given.inputs, coresets=coresets)
    )
    with pytest.raises(
        CellError, match="class 'class0' has 6 of the 8 samples that are needed; raise `most`"
    ):
        cells.distil(given, [0], tmp_path / "out", tmp_path)
    assert not report.calls


def test_a_single_candidate_is_no_candidate(tmp_path: Path) -> None:
    report = Calls()
    cells.distil(cell("dm", report=report, steps=1), [3], tmp_path / "out", tmp_path / "work")
    assert report.calls == [(1, 1, {"seed": "3 (1 of 1)"})]


@pytest.mark.parametrize(
    "method", ["dm", *(pytest.param(method, marks=pytest.mark.slow) for method in ("dsa", "mtt"))]
)
def test_losses_of_a_stopped_run_are_whole(method: str, tmp_path: Path) -> None:
    for report in (Calls(stop=3), Calls(stop=4)):  # in the first seed, and in the second
        with pytest.raises(KeyboardInterrupt):
            cells.distil(
                cell(method, report=report, steps=4), [0, 1], tmp_path / "out", tmp_path / "work"
            )
    cells.distil(cell(method, steps=4), [0, 1], tmp_path / "out", tmp_path / "work")
    cells.distil(cell(method, steps=4), [0, 1], tmp_path / "whole", tmp_path / "work")
    rows = list(
        csv.DictReader((tmp_path / "out" / "losses.csv").read_text(encoding="utf-8").splitlines())
    )
    assert [(row["seed"], row["step"]) for row in rows] == [
        (seed, step) for seed in "01" for step in "1234"
    ]
    for name in ("losses.csv", "seed0.safetensors", "seed1.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@contextmanager
def nothing_new(folder: Path) -> Iterator[None]:
    before = sorted(folder.rglob("*"))
    yield
    assert sorted(folder.rglob("*")) == before


def command(method: str, data: Path, out: Path, *more: str, ipc: int = 1) -> list[str]:
    """`distill` with whole samples and what suits the toy on disk."""
    sets = (*TINY, f"distill.{method}.formation={{frame: [1, 1], logmel: [1, 1]}}")
    before = [word for change in sets for word in ("--set", change)]
    given = [str(data / "shards" / "train"), str(data / "coreset"), str(out)]
    return [
        "--params-file",
        str(PARAMS),
        *before,
        "distill",
        method,
        str(ipc),
        *given,
        "--quiet",
        *more,
    ]


def refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """The one line of a command that ends with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["avdistill", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert (ended.value.code, said.out, len(lines)) == (1, "", 1), said.err
    return lines[0]


@pytest.fixture
def bad(toy_data: Path, tmp_path: Path) -> Path:
    """A folder of bad input beside the toy on disk."""
    for split in ("train", "val"):
        write_split(tmp_path / "other" / split, other())
    (tmp_path / "empty").mkdir()
    return tmp_path


def other() -> RealSet:
    return toy_real(seed=7)


def test_an_ipc_larger_than_a_class_is_one_line(
    toy_data: Path, bad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in rows_of_golden():
        needed = command(
            method, toy_data, bad / "out", "--experts", str(toy_data / "experts"), ipc=13
        )
        with nothing_new(bad):
            line = refused(["--set", "grid.infeasible=refuse", *needed], capsys, monkeypatch)
        assert line == (
            "error: ipc 13 x 1 pieces needs 13 training windows a class, 'class0' has 12; "
            "the largest ipc that fits is 12"
        ), method


@pytest.mark.parametrize("method", rows_with_experts())
def test_a_bank_that_was_not_given_is_one_line(
    method: str,
    toy_data: Path,
    bad: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for more in ([], ["--dry-run"]):
        with nothing_new(bad):
            line = refused(command(method, toy_data, bad / "out", *more), capsys, monkeypatch)
        assert line.startswith(
            f"error: {method} works with a bank of experts and none was given; "
            "run `avdistill experts`, and add"
        )


@pytest.mark.parametrize("method", rows_with_experts())
def test_a_bank_of_other_data_is_one_line(
    method: str,
    toy_data: Path,
    bad: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experts_of_other = bad / "experts"
    argv = [word for change in TINY for word in ("--set", change)]
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "avdistill",
            *argv,
            "experts",
            str(bad / "other" / "train"),
            str(experts_of_other),
            "--quiet",
        ],
    )
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    capsys.readouterr()
    with nothing_new(bad):
        line = refused(
            command(method, toy_data, bad / "out", "--experts", str(experts_of_other)),
            capsys,
            monkeypatch,
        )
    assert re.search(
        r"the bank of experts was trained on shards \w{12}, the shards here are \w{12}; "
        "run `avdistill experts`",
        line,
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--experts", "empty"),
            r"index\.json does not exist; it is written by `avdistill experts`",
        ),
        (
            ("--experts", "none"),
            r"index\.json does not exist; it is written by `avdistill experts`",
        ),
        (("--device", "cuda:77"), r"--device cuda:77: .*; take cpu, cuda or auto"),
        (("--device", "abacus"), r"--device abacus: .*; take cpu, cuda or auto"),
    ],
)
def test_other_bad_input_is_one_line(
    more: tuple[str, str],
    said: str,
    toy_data: Path,
    bad: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    option, value = more
    given = str(bad / value) if option == "--experts" else value
    with nothing_new(bad):
        assert re.search(
            said, refused(command("idm", toy_data, bad / "out", option, given), capsys, monkeypatch)
        )


def test_a_dry_run_writes_nothing(
    toy_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["avdistill", *command("dm", toy_data, tmp_path / "out", "--dry-run", "--device", "cpu")],
    )
    with nothing_new(tmp_path), nothing_new(toy_data), pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    assert "dm: 2 classes x ipc 1 = 2 stored rows\n" in said.out and "device: cpu\n" in said.out
