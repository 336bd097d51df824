"""Unfinished work: kills at random moments, interrupts, and damaged checkpoints."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core import tensors
from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import TensorError
from pipeline.distillation.inputs import Runtime
from pipeline.training.loop import ignore_progress
from tests.toys.cells import files
from tests.toys.plugins import built, toy_inputs
from tests.toys.project import CPU, ROOT

KILLS = 12
# One process that has loaded everything forks a child per try and kills it after a random time.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
from pipeline.distillation import run as cells
from pipeline.core.checkpoints import Checkpoint
from tests.toys.cells import SEEDS, toy_cell
method, place, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
cell = toy_cell(method, steps=40, checkpoint=Checkpoint(every_s=0))
cell.inputs.require_experts("no method").digest, cell.digest  # once, not in every child
chance, killed, midway = random.Random(0), 0, 0

def child(out, after=None):
    pid = os.fork()
    if not pid:
        cells.distil(cell, SEEDS, place / out, place / (out + ".work"))
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

began = time.monotonic()
assert child("whole") == 0
each = (time.monotonic() - began) / (kills / 2)
while killed < kills and not (place / "killed").exists():
    killed += child("killed", chance.uniform(0, each)) != 0
    midway += bool(list(place.glob("killed.work/*/*.step.safetensors")))
if not (place / "killed").exists():
    assert child("killed") == 0
print(killed, midway)
"""


@pytest.mark.parametrize(
    "method", ["dm", *(pytest.param(method, marks=pytest.mark.slow) for method in ("jcf", "mtt"))]
)
def test_kills_at_random_moments_change_no_byte(method: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, method, str(tmp_path), str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed, midway = map(int, done.stdout.split())
    assert killed >= 3 and midway >= 2
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert {"losses.csv", "seed0.safetensors", "seed1.safetensors", "start.safetensors"} == set(
        files(tmp_path / "whole")
    )


class StoppedError(Exception):
    """What a report raises to stop a descent after a step."""


def stopping(step: int, error: type[BaseException] = StoppedError) -> Any:
    def report(done: int, total: int, **_: float) -> None:
        if done == step:
            raise error

    return report


def begun(
    path: Path, error: type[BaseException] = StoppedError, every_s: float = 0.0, **about: Any
) -> Runtime:
    """A machine that stops at the second of dm's four steps, with what it keeps at `path`."""
    checkpoint = Checkpoint(
        path=path,
        every_s=every_s,
        about={"method": "dm", "ipc": 1, "seed": 0, "inputs": "toy", **about},
    )
    return Runtime(device=CPU, report=stopping(2, error), checkpoint=checkpoint)


def descend(machine: Runtime, steps: int = 4) -> Any:
    return dataclasses.replace(built("method", "dm"), steps=steps).distill(
        toy_inputs(), ipc=1, seed=0, runtime=machine
    )


def test_an_interrupt_keeps_the_steps_that_are_done(tmp_path: Path) -> None:
    path = tmp_path / "step.safetensors"
    with pytest.raises(KeyboardInterrupt):
        descend(begun(path, KeyboardInterrupt, every_s=3600))
    assert len(tensors.load(path)[0]["losses"]) == 2
    seen: list[int] = []
    machine = dataclasses.replace(begun(path), report=lambda done, total, **_: seen.append(done))
    ended, whole = descend(machine), descend(Runtime(device=CPU, report=ignore_progress))
    assert seen == [3, 4]
    assert ended.losses == whole.losses
    assert all(
        torch.equal(rows, whole.synthetic.rows[m]) for m, rows in ended.synthetic.rows.items()
    )


def test_an_interrupt_between_two_leaves_keeps_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = torch.optim.SGD.step, []

    def step(self: torch.optim.SGD) -> None:
        original(self)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(KeyboardInterrupt):
        descend(
            dataclasses.replace(
                begun(tmp_path / "step.safetensors", every_s=3600), report=ignore_progress
            )
        )
    assert not (tmp_path / "step.safetensors").exists()


@pytest.mark.parametrize("about", [{"method": "jcf"}, {"ipc": 2}, {"seed": 1}, {"inputs": "other"}])
def test_a_checkpoint_of_other_work_is_refused(about: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "step.safetensors"
    with pytest.raises(StoppedError):
        descend(begun(path, **about))
    (name, value), own = *about.items(), {"method": "dm", "ipc": 1, "seed": 0, "inputs": "toy"}
    with pytest.raises(TensorError) as message:
        descend(begun(path))
    assert (
        f"{path} is a checkpoint of " in str(message.value)
        and f"{name} {value}" in str(message.value).split("expected")[0]
    )
    assert (
        f"expected one of {', '.join(f'{n} {v}' for n, v in own.items())}; remove it to start again"
        in str(message.value)
    )


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[9] ^= 0x55
    path.write_bytes(content)


def flipped_value(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x01
    path.write_bytes(content)


def changed(path: Path, change: Any) -> None:
    state, header = tensors.load(path)
    change(state)
    tensors.save(path, state, {**header, "digest": tensors.digest(state)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "is not a tensor file of avdistill"),
        (flipped_header, "is not a tensor file of avdistill"),
        (flipped_value, "is damaged: its tensors have changed since they were written"),
        (lambda path: path.write_bytes(b""), "is not a tensor file of avdistill"),
        (lambda path: tensors.save(path, {}, {}), "holds no checkpoint"),
        (lambda path: changed(path, lambda state: state.pop("frame")), "holds other tensors"),
        (lambda path: changed(path, lambda state: state.pop("losses")), "holds other tensors"),
        (
            lambda path: changed(
                path, lambda state: state.update({"momentum.frame": torch.zeros(1)})
            ),
            "holds other tensors",
        ),
        (
            lambda path: changed(
                path, lambda state: state.update(frame=state["frame"][:1].clone())
            ),
            "holds other tensors",
        ),
        (
            lambda path: changed(path, lambda state: state.update(more=torch.zeros(1))),
            "holds other tensors",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name(damage: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "step.safetensors"
    with pytest.raises(StoppedError):
        descend(begun(path))
    with pytest.raises(StoppedError):
        descend(dataclasses.replace(begun(path), report=stopping(3)))
    damage(path)
    with pytest.raises(TensorError, match=message) as error:
        descend(begun(path))
    assert str(path) in str(error.value) and "remove it" in str(error.value)
    assert "\n" not in str(error.value)
