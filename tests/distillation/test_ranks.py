"""distill on several ranks, and interrupted: the same set each time."""

from __future__ import annotations

import csv
import dataclasses
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.core import tensors
from pipeline.core.errors import CellError
from pipeline.core.files import write_json
from pipeline.distillation.distributed import Ranks
from pipeline.shards.read import read_shards
from stages import cli
from stages.cli import app
from tests.toys.cells import files, toy_cell
from tests.toys.golden import rows_of_golden
from tests.toys.plugins import built
from tests.toys.project import ROOT, values
from tests.toys.shards import coreset, toy_shards


@pytest.mark.parametrize("method", rows_of_golden(separable=False))
def test_methods_that_cannot_be_split_refuse_ranks(method: str) -> None:
    message = f"{method} cannot be split over 2 ranks; start it without torchrun"
    cell = toy_cell("dm")
    with pytest.raises(CellError, match=message):
        dataclasses.replace(
            cell,
            method=method,
            distiller=built("method", method),
            runtime=dataclasses.replace(cell.runtime, ranks=Ranks(count=2)),
        )


SMALL = (
    "grid.seeds=[0]",
    "grid.ipcs=[1]",
    "networks.convnet.width=4",
    "networks.convnet.grid=2",
    "networks.convnet.depth={frame: 2, logmel: 2}",
    "evaluate.protocols.budget.steps=2",
    "evaluate.protocols.budget.trials=2",
    *(
        f"distill.{method}.{name}={value}"
        for method in ("dm", "jcf", "idm")
        for name, value in (
            ("steps", 3),
            ("batch_real", 4),
            ("rates", "{frame: [0.2, 0.4], logmel: [0.2, 0.4]}"),
            ("formation", "{frame: [1, 1], logmel: [1, 1]}"),
        )
    ),
)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards, a ranking, a bank and a params file: all that `avdistill distill` reads."""
    place = tmp_path_factory.mktemp("toys")
    real = read_shards(toy_shards(place / "shards") / "train")
    (place / "coreset").mkdir()
    write_json(place / "coreset" / "herding.json", coreset(real).to_json())
    with (place / "params.yaml").open("w") as stream:
        YAML().dump(values(*SMALL).values, stream)
    return place


ONE = (sys.executable, "-m", "stages")
TWO = (
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "stages",
)


def command(
    toys: Path, out: Path, *more: object, method: str = "dm", ranks: tuple[str, ...] = ONE
) -> list[str]:
    given = (
        "--params-file",
        toys / "params.yaml",
        "distill",
        method,
        1,
        toys / "shards" / "train",
        toys / "coreset",
        out,
    )
    return [*ranks, *map(str, (*given, "--device", "cpu", "--workers", 1, "--quiet", *more))]


def run(*arguments: Any, **named: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(*arguments, **named),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
        timeout=300,
    )


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def losses(folder: Path) -> list[float]:
    with (folder / "losses.csv").open() as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


def same(one: Path, other: Path) -> None:
    """Rows and losses of two cells within 1e-5."""
    first, second = (
        tensors.load_synthetic(folder / "seed0.safetensors") for folder in (one, other)
    )
    for m, rows in first.rows.items():
        assert (rows - second.rows[m]).abs().max() <= 1e-5 * rows.abs().max()
    assert (
        first.source_key == second.source_key
        and first.provenance["method"] == second.provenance["method"]
    )
    assert losses(one) == pytest.approx(losses(other), rel=1e-5)


def test_two_ranks_give_the_set_of_one(toys: Path, tmp_path: Path) -> None:
    alone, together = (
        run(toys, tmp_path / "one" / "dm"),
        run(toys, tmp_path / "two" / "dm", ranks=TWO),
    )
    assert (alone.returncode, together.returncode) == (0, 0), alone.stderr + together.stderr
    assert (
        together.stdout.replace("/two/", "/one/") == alone.stdout
        and "step size chosen among 2" in alone.stdout
    )
    same(tmp_path / "one" / "dm", tmp_path / "two" / "dm")
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        ".work",
        "dm",
        "dm.seconds.json",
    ]
    assert not list((tmp_path / "two" / ".work").iterdir())


def test_a_refusal_of_two_ranks_is_printed_once(toys: Path, tmp_path: Path) -> None:
    done = run(toys, tmp_path / "random", method="random", ranks=TWO)
    assert done.returncode == 1 and done.stdout == ""
    assert errors(done) == ["error: random cannot be split over 2 ranks; start it without torchrun"]


def test_a_streamed_set_gives_the_bits_of_a_resident_one(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 54 samples of 20 kB: more than the smallest budget.
    real = read_shards(toy_shards(tmp_path / "shards", each=18, side=64) / "train")
    (tmp_path / "coreset").mkdir()
    write_json(tmp_path / "coreset" / "herding.json", coreset(real).to_json())
    shutil.copy(toys / "params.yaml", tmp_path)
    monkeypatch.chdir(ROOT)
    message = []
    for name, megabytes in (("resident", 2), ("streamed", 1)):
        result = CliRunner().invoke(
            app, command(tmp_path, tmp_path / name, "--memory-mb", megabytes)[len(ONE) :]
        )
        assert result.exit_code == 0, result.output + str(result.exception)
        message.append(result.output.split(" -> ")[0])
    assert files(tmp_path / "resident") == files(tmp_path / "streamed")
    assert message[1] == f"{message[0]}, 1.1 MiB of real samples streamed from their shards"


def test_an_interrupted_distill_says_how_to_go_on_and_does(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(cli.ProgressReporter):
        def __call__(self, done: int, total: int, **figures: float) -> None:
            if "loss" in figures and done == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.chdir(ROOT)
    whole = CliRunner().invoke(app, command(toys, tmp_path / "whole")[len(ONE) :])
    with monkeypatch.context() as patch:
        patch.setattr(cli, "ProgressReporter", Interrupting)
        stopped = CliRunner().invoke(app, command(toys, tmp_path / "out")[len(ONE) :])
    assert (stopped.exit_code, stopped.output) == (130, f"error: {cli.INTERRUPTED}\n")
    (kept,) = (tmp_path / ".work").rglob("*.step.safetensors")
    assert len(tensors.load(kept)[0]["losses"]) == 2
    ended = CliRunner().invoke(app, command(toys, tmp_path / "out")[len(ONE) :])
    assert (ended.exit_code, whole.exit_code) == (0, 0) and files(tmp_path / "out") == files(
        tmp_path / "whole"
    )


def test_a_device_that_is_not_there_is_one_line(toys: Path, tmp_path: Path) -> None:
    done = run(toys, tmp_path / "out", "--device", "cuda:77")
    assert (
        done.returncode == 1
        and len(errors(done)) == len(done.stderr.splitlines()) == 1
        and "--device cuda:77" in done.stderr
    )


@pytest.mark.slow
def test_two_ranks_give_the_set_of_one_with_experts(toys: Path, tmp_path: Path) -> None:
    settings = (
        "--params-file",
        toys / "params.yaml",
        "--set",
        "experts.count=2",
        "--set",
        "experts.epochs=2",
    )
    trained = [
        *ONE,
        *map(
            str,
            (
                *settings,
                "experts",
                toys / "shards" / "train",
                tmp_path / "bank",
                "--device",
                "cpu",
                "--quiet",
            ),
        ),
    ]
    subprocess.run(trained, cwd=ROOT, check=True, capture_output=True)
    for name, ranks in (("one", ONE), ("two", TWO)):
        done = run(toys, tmp_path / name, "--experts", tmp_path / "bank", method="jcf", ranks=ranks)
        assert done.returncode == 0, done.stderr
    same(tmp_path / "one", tmp_path / "two")


# The command line with ranks that stop in their second step, as FATE says.
STOPPED = """
import os, signal
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.core.errors import CellError
from stages import cli

def lost():
    raise CellError("rank 1 is out of room")

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def interrupted():
    signal.raise_signal(signal.SIGINT)

fates = {"fails": lost, "killed": killed, "interrupted": interrupted}
fate, down = os.environ["FATE"], SyntheticOptimizer.step

def stopped(self, losses):
    if self.losses and (fate == "interrupted" or os.environ["RANK"] == "1"):
        fates[fate]()
    return down(self, losses)

SyntheticOptimizer.step = stopped
cli.main()
"""


def ended(toys: Path, out: Path, outcome: str) -> subprocess.CompletedProcess[str]:
    """Two ranks, stopped."""
    (out.parent / "stopped.py").write_text(STOPPED)
    given = [*TWO[:-2], str(out.parent / "stopped.py"), *command(toys, out)[len(ONE) :]]
    environment = {"PATH": "", "OMP_NUM_THREADS": "1", "FATE": outcome, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        given, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=120
    )


@pytest.mark.slow
def test_a_rank_that_fails_ends_all_with_its_sentence(toys: Path, tmp_path: Path) -> None:
    done = ended(toys, tmp_path / "out", "fails")
    assert (
        done.returncode == 1
        and errors(done) == ["error: rank 1 is out of room"]
        and done.stdout == ""
    )


@pytest.mark.slow
def test_a_killed_rank_ends_all(toys: Path, tmp_path: Path) -> None:
    done = ended(toys, tmp_path / "out", "killed")
    # torchrun may end rank 0 before it says that the other is gone.
    assert done.returncode == 1 and len(errors(done)) <= 1 and done.stdout == ""


@pytest.mark.slow
def test_interrupted_ranks_go_on_from_their_last_step(toys: Path, tmp_path: Path) -> None:
    done = ended(toys, tmp_path / "two", "interrupted")
    assert errors(done) == [f"error: {cli.INTERRUPTED}"]
    (kept,) = (tmp_path / ".work").rglob("*.step.safetensors")
    assert len(tensors.load(kept)[0]["losses"]) == 1
    assert (
        run(toys, tmp_path / "two", ranks=TWO).returncode
        == run(toys, tmp_path / "one").returncode
        == 0
    )
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_other_stages_refuse_ranks_once(toys: Path, tmp_path: Path) -> None:
    arguments = (
        "--params-file",
        toys / "params.yaml",
        "experts",
        toys / "shards" / "train",
        tmp_path / "bank",
        "--quiet",
    )
    done = subprocess.run(
        [*TWO, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1 and not (tmp_path / "bank").exists()
    assert errors(done) == [
        "error: `avdistill experts` has nothing to split over 2 ranks; start it without torchrun"
    ]
