"""distill on several ranks, streamed, with too little memory and after kills: the same set."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.core import tensors
from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import CellError, ShardError, TensorError
from pipeline.core.files import write_json
from pipeline.core.records import Normalisation, RealSet
from pipeline.coresets.rankings import Coreset, Ranking
from pipeline.distillation.device_cache import DeviceCache
from pipeline.distillation.distributed import Ranks
from pipeline.distillation.inputs import Runtime
from pipeline.shards import index, write
from pipeline.shards.index import Index, write_index
from pipeline.shards.mapped import MappedRows, map_shards
from pipeline.shards.read import read_shards
from pipeline.shards.write import write_shard
from pipeline.training.loop import ignore_progress
from stages import cli
from stages.cli import app
from tests.toys.cells import toy_cell
from tests.toys.golden import rows_of_golden
from tests.toys.plugins import NETWORKS, built, distilled, materials
from tests.toys.project import CPU, ROOT, values
from tests.toys.samples import toy_real, toy_sample

WHOLE = {"frame": (1, 1), "logmel": (1, 1)}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# ---- kills

KILLS = 12
# One process that has loaded everything forks a child per try and kills it after a random time.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
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
        materials(), ipc=1, seed=0, runtime=machine
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
    with pytest.raises(TensorError) as told:
        descend(begun(path))
    assert (
        f"{path} is a checkpoint of " in str(told.value)
        and f"{name} {value}" in str(told.value).split("expected")[0]
    )
    assert (
        f"expected one of {', '.join(f'{n} {v}' for n, v in own.items())}; remove it to start again"
        in str(told.value)
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
    ("damage", "told"),
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
def test_a_damaged_checkpoint_is_refused_by_name(damage: Any, told: str, tmp_path: Path) -> None:
    path = tmp_path / "step.safetensors"
    with pytest.raises(StoppedError):
        descend(begun(path))
    with pytest.raises(StoppedError):
        descend(dataclasses.replace(begun(path), report=stopping(3)))
    damage(path)
    with pytest.raises(TensorError, match=told) as error:
        descend(begun(path))
    assert str(path) in str(error.value) and "remove it" in str(error.value)
    assert "\n" not in str(error.value)


# ---- shards that stay where they are

CLASSES = ("a", "b", "c")


def toy_shards(
    folder: Path, splits: tuple[str, ...] = ("train", "val"), each: int = 6, side: int = 8
) -> Path:
    """Splits of random samples in two tars each."""
    units = {
        "frame": Normalisation(scale=1 / 255, mean=(0.5,) * 3, std=(0.3,) * 3, fill=0.0),
        "logmel": Normalisation(scale=1.0, mean=(0.0,), std=(1.0,), fill=-2.0),
    }
    for split in splits:
        samples = [
            sized(f"{split}{label}{clip}", clip % 2, label, side)
            for label in CLASSES
            for clip in range(each)
        ]
        (folder / split).mkdir(parents=True)
        halves = [
            write_shard(folder / split, f"shard-{i:05d}", "toy", samples[i::2], [])
            for i in range(2)
        ]
        about = {"classes": CLASSES, "preprocessing": "toy", "normalisation": units}
        write_index(folder / split, Index(shards=tuple(halves), **about))
    return folder


def sized(clip: str, second: int, label: str, side: int) -> Any:
    """A sample of so many pixels and mel bins a side."""
    numbers = np.random.default_rng([second, *clip.encode()])
    arrays = {
        "frame": numbers.integers(0, 256, (1, side, side, 3), dtype=np.uint8),
        "logmel": numbers.normal(size=(side, side)).astype(np.float16),
    }
    return dataclasses.replace(toy_sample(clip, second, label), arrays=arrays)


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([17, 0, 3, 3]),
        slice(2, 9),
        torch.arange(18) % 5 == 0,
        torch.tensor([], dtype=int),
    ],
)
def test_mapped_rows_are_the_rows_in_memory(index: Any, tmp_path: Path) -> None:
    folder = toy_shards(tmp_path) / "train"
    mapped, read = map_shards(folder), read_shards(folder)
    for m, rows in mapped.rows.items():
        own = read.rows[m][index]
        assert (
            rows[index].equal(own)
            and rows[index].dtype == own.dtype
            and rows[index].is_contiguous()
        )
        assert rows.to(CPU).equal(read.rows[m]) and (rows.shape, rows.nbytes) == (
            read.rows[m].shape,
            read.rows[m].nbytes,
        )
    same = [
        field.name for field in dataclasses.fields(RealSet) if field.name not in ("rows", "label")
    ]
    assert all(
        getattr(mapped, name) == getattr(read, name) for name in same
    ) and mapped.label.equal(read.label)


def test_a_mapped_set_takes_the_memory_of_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped, taken = map_shards(toy_shards(tmp_path) / "train"), []
    take = MappedRows.__getitem__

    def counted(self: MappedRows, index: Any) -> torch.Tensor:
        rows = take(self, index)
        taken.append(len(rows))
        return rows

    monkeypatch.setattr(MappedRows, "__getitem__", counted)
    monkeypatch.setattr(MappedRows, "to", lambda *_: pytest.fail("the whole split is in memory"))
    distiller = dataclasses.replace(built("method", "dm"), batch_real=2, formation=WHOLE)
    machine = Runtime(device=CPU, report=ignore_progress, memory_mb=1e-4)
    given = materials(real=mapped, coresets={"herding": coreset(mapped)})
    distiller.distill(given, ipc=1, seed=0, runtime=machine)
    # 3 classes x 2 samples a step; the start takes 3.
    assert max(taken) == 6 and len(mapped) == 18


def coreset(real: RealSet) -> Coreset:
    keys = {
        name: tuple(real.keys[row] for row in real.indices_of(label).tolist())
        for label, name in enumerate(real.classes)
    }
    return Coreset(
        selector="herding", seed=0, table="toy", shards=real.digest, ranking=Ranking(keys)
    )


def test_a_tar_that_shrinks_while_it_is_read_is_named(tmp_path: Path) -> None:
    folder = toy_shards(tmp_path) / "train"
    rows = map_shards(folder).rows["logmel"]
    os.truncate(folder / "shard-00001.tar", 2000)
    with pytest.raises(ShardError, match=r"shard-00001\.tar has become shorter while it was read"):
        rows.to(CPU)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_name_their_sample(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(clip: str, *more: Any) -> Any:
        sample = make(clip, *more)
        if clip == "trainb3":
            sample.arrays["logmel"][0, 0] = value
        return sample

    make = sized
    monkeypatch.setitem(globals(), "sized", broken)
    for module in (index, write):
        monkeypatch.setattr(
            module,
            "write_json",
            lambda path, about: path.write_text(json.dumps(about, default=float)),
        )
    with np.errstate(invalid="ignore"):
        folder = toy_shards(tmp_path, ("train",)) / "train"
    told = (
        "logmel of sample trainb3_0001 holds NaN or infinite values; take its clip off the manifest"
    )
    with pytest.raises(ShardError, match=told):
        read_shards(folder)
    with pytest.raises(ShardError, match=told):
        map_shards(folder).rows["logmel"].to(CPU)


# ---- memory


class Narrow:
    """Towers that take so many rows at a time."""

    def __init__(self, most: int) -> None:
        self.most, self.refused = most, 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = type(NETWORKS["convnet"].build(toy_real().shapes, torch.Generator()))
        embed = network.embed

        def narrow(towers: Any, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            if len(rows["frame"]) > self.most:
                self.refused += 1
                raise torch.OutOfMemoryError("no room")
            return embed(towers, rows)

        monkeypatch.setattr(network, "embed", narrow)


def wide() -> RealSet:
    return toy_real(4, classes=5)


def told_by(
    real: RealSet, method: str = "dm"
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    figures: list[dict[str, float]] = []
    machine = Runtime(device=CPU, report=lambda done, total, **more: figures.append(more))
    # Small steps: m3d's own take rows to 37, and float noise with them.
    steps = {"frame": (0.2,), "logmel": (0.2,)}
    distiller = dataclasses.replace(
        built("method", method), formation=WHOLE, batch_real=4, rates=steps
    )
    given = materials(real=real, coresets={"herding": coreset(real)})
    return distiller.distill(given, ipc=1, seed=0, runtime=machine).synthetic.rows, figures


@pytest.mark.parametrize("method", ["dm", "avdd", "m3d"])
def test_out_of_memory_splits_the_batch_and_says_so(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsplit, before = told_by(wide(), method)
    narrow = Narrow(8)
    narrow.install(monkeypatch)
    split, after = told_by(wide(), method)
    # 5 classes x 4 samples do not fit, 2 x 4 do.
    assert narrow.refused == 1
    assert all(torch.allclose(unsplit[m], split[m], atol=1e-5) for m in split)
    assert [figures.get("out of memory, classes at once") for figures in before + after] == [
        None,
        None,
        2,
        2,
    ]


def test_one_class_that_does_not_fit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Narrow(3).install(monkeypatch)
    with pytest.raises(
        CellError,
        match=(
            r"one class of 4 instances does not fit into the device's memory .*; lower batch_real"
        ),
    ):
        told_by(wide())


def test_a_device_with_less_memory_than_its_budget_says_so() -> None:
    class Large(torch.Tensor):
        def to(self, *_: Any) -> torch.Tensor:
            raise torch.OutOfMemoryError("no room")

    real = toy_real()
    real = dataclasses.replace(
        real, rows={m: rows.as_subclass(Large) for m, rows in real.rows.items()}
    )
    with pytest.raises(
        CellError, match="cpu has no room for the 0 MiB of the real set; give a lower --memory-mb"
    ):
        DeviceCache(real, Runtime(device=CPU, report=ignore_progress))


# ---- data at their limits


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_constant_rows_give_a_set_of_numbers(method: str) -> None:
    real = toy_real()
    real = dataclasses.replace(
        real, rows={m: torch.full_like(rows, 7) for m, rows in real.rows.items()}
    )
    rows = distilled(built("method", method), real=real).rows
    assert all(values.isfinite().all() for values in rows.values())


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_one_sample_in_a_class_gives_a_set_of_numbers(method: str) -> None:
    real, alone = toy_real(), toy_real(per_class=1)
    real = dataclasses.replace(alone, digest=real.digest)
    distiller = dataclasses.replace(built("method", method), formation=WHOLE)
    rows = distilled(distiller, real=real, coresets={"herding": coreset(real)}).rows
    assert all(values.isfinite().all() for values in rows.values())


def test_one_sample_is_too_few_for_a_formation() -> None:
    with pytest.raises(
        CellError, match="'class0' has 1; no ipc fits; add clips or use fewer pieces"
    ):
        distilled(built("method", "dm"), real=toy_real(per_class=1))


def test_a_loss_that_is_no_number_is_one_line() -> None:
    real = toy_real()
    real.rows["logmel"][:] = torch.nan
    with pytest.raises(
        CellError, match="the loss is nan at step 0; check the real set for NaN, or lower the rates"
    ):
        distilled(built("method", "dm"), real=real)


# ---- ranks


@pytest.mark.parametrize("method", rows_of_golden(separable=False))
def test_methods_that_cannot_be_split_refuse_ranks(method: str) -> None:
    told = f"{method} cannot be split over 2 ranks; start it without torchrun"
    cell = toy_cell("dm")
    with pytest.raises(CellError, match=told):
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


def test_a_refusal_of_two_ranks_is_said_once(toys: Path, tmp_path: Path) -> None:
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
    told = []
    for name, megabytes in (("resident", 2), ("streamed", 1)):
        result = CliRunner().invoke(
            app, command(tmp_path, tmp_path / name, "--memory-mb", megabytes)[len(ONE) :]
        )
        assert result.exit_code == 0, result.output + str(result.exception)
        told.append(result.output.split(" -> ")[0])
    assert files(tmp_path / "resident") == files(tmp_path / "streamed")
    assert told[1] == f"{told[0]}, 1.1 MiB of real samples streamed from their shards"


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


def ended(toys: Path, out: Path, fate: str) -> subprocess.CompletedProcess[str]:
    """Two ranks, stopped."""
    (out.parent / "stopped.py").write_text(STOPPED)
    given = [*TWO[:-2], str(out.parent / "stopped.py"), *command(toys, out)[len(ONE) :]]
    environment = {"PATH": "", "OMP_NUM_THREADS": "1", "FATE": fate, "PYTHONPATH": str(ROOT)}
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
