"""Trajectory matching: gradient against brute force, memory, resumption, provenance."""

from __future__ import annotations

import dataclasses
import math
import weakref
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from pipeline.artifact import ExportSettings, read_artifact, write_artifact
from pipeline.core import tensors
from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import CellError
from pipeline.core.records import RealSet, SyntheticSet
from pipeline.core.rng import make_generator
from pipeline.distillation import run as cells
from pipeline.distillation.inputs import Runtime
from pipeline.distillation.methods.mtt import Distiller
from pipeline.distillation.trajectory_matching import RATE, TrajectoryMatcher
from pipeline.evaluation import Evaluate
from pipeline.training import formation
from pipeline.training.augment import augment
from pipeline.training.bank import ExpertBank
from pipeline.training.experts import ExpertSettings, ExpertTrainer
from pipeline.training.loop import ignore_progress
from tests.toys.plugins import built, toy_bank, toy_bench, toy_inputs
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real

MACHINE = Runtime(device=CPU, report=ignore_progress)
SEED, STEP = 3, 1
# Of two classes, one instance each, two inner steps.
GOLDEN = 2.325221


def mtt(**changes: Any) -> Distiller:
    """The method with values from params.yaml, and one rate per modality."""
    return dataclasses.replace(
        built("method", "mtt"), rates={"frame": (20.0,), "logmel": (20.0,)}, **changes
    )


def alone(modality: str) -> RealSet:
    """The toy without its other modality."""
    real = toy_real()
    return dataclasses.replace(
        real,
        rows={modality: real.rows[modality]},
        normalisation={modality: real.normalisation[modality]},
    )


@cache
def bank_of(head: str, modality: str | None) -> ExpertBank:
    """The toy's bank in float64, of another head or of one modality."""
    bank, real = toy_bank(), alone(modality) if modality else toy_real()
    trained = dataclasses.replace(values().build("experts", ExpertSettings), count=2, epochs=2)
    given = built("head", head)
    trainer = ExpertTrainer(
        settings=trained,
        network=bank.network,
        head=given,
        real=real,
        val=real,
        device=CPU,
        report=ignore_progress,
    )
    trajectories = [
        {name: trajectory.double() for name, trajectory in trainer.train(number).items()}
        for number in range(2)
    ]
    return dataclasses.replace(bank, head=trainer.head, trajectories=trajectories)


def leaves_of(start: SyntheticSet, rate: float = 0.03) -> dict[str, Tensor]:
    return {
        **start.rows,
        **{RATE + m: start.rows[m].new_tensor(math.log(rate)) for m in start.rows},
    }


def begun(method: Distiller, ipc: int = 2, **changes: Any) -> SyntheticSet:
    """What the method starts from, in float64."""
    start = method.begin(toy_inputs(**changes), ipc=ipc, seed=SEED)
    return dataclasses.replace(start, rows={m: rows.double() for m, rows in start.rows.items()})


def brute(
    method: Distiller, bank: ExpertBank, start: SyntheticSet, real: RealSet, through: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients by autograd with all graphs kept, `through` earlier steps or not."""
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves_of(start).items()}
    numbers = make_generator("trajectory", SEED, STEP)
    trajectory = bank.trajectories[
        int(torch.randint(len(bank.trajectories), (), generator=numbers))
    ]
    epoch = int(torch.randint(method.max_start + 1, (), generator=numbers))
    module = bank.build_empty_model(real, CPU)
    weights = {name: trajectory[name][epoch].clone().requires_grad_() for name in trajectory}
    owner = {name: next(m for m in sorted(start.rows) if m in name) for name in trajectory}
    instances = {m: formation.split(leaves[m], start.formation[m]) for m in start.rows}
    label = start.label.repeat(formation.count_pieces(start.formation))
    shuffles = make_generator("batch", SEED, STEP)
    epochs = (
        torch.randperm(len(label), generator=shuffles).split(method.batch)
        for _ in range(method.inner)
    )
    for number, index in enumerate(
        islice((index for batches in epochs for index in batches), method.inner)
    ):
        seen = {
            m: augment(
                rows[index],
                method.augment[m],
                start.normalisation[m].fill,
                make_generator("augment", SEED, STEP, number, m),
            )
            for m, rows in instances.items()
        }
        places = (
            weights
            if through
            else {name: values.detach().requires_grad_() for name, values in weights.items()}
        )
        loss = module.head.loss(functional_call(module, places, (seen,)), label[index])
        slopes = dict(
            zip(
                places,
                torch.autograd.grad(loss, list(places.values()), create_graph=True),
                strict=True,
            )
        )
        weights = {
            name: weights[name] - leaves[RATE + owner[name]].exp() * slopes[name]
            for name in weights
        }

    def distance(m: str, one: dict[str, Tensor]) -> Tensor:
        names = [name for name in owner if owner[name] == m]
        flat = [
            torch.cat([side[name].flatten() for name in names])
            for side in (one, _at(trajectory, epoch + method.ahead))
        ]
        return (flat[0] - flat[1]).square().sum()

    loss = torch.stack(
        [distance(m, weights) / distance(m, _at(trajectory, epoch)) for m in start.rows]
    ).mean()
    return loss.detach(), dict(
        zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True)
    )


def _at(trajectory: dict[str, Tensor], epoch: int) -> dict[str, Tensor]:
    return {name: values[epoch] for name, values in trajectory.items()}


def far(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of two gradients, in units of the second."""
    return max(((one[name] - other[name]).norm() / other[name].norm()).item() for name in other)


@pytest.mark.parametrize(
    ("inner", "batch", "head", "modality"),
    [
        (1, 64, "ensemble", None),
        (3, 64, "ensemble", None),
        (4, 7, "ensemble", None),
        (3, 64, "concat", None),
        (3, 64, "ensemble", "frame"),
        (3, 7, "ensemble", "logmel"),
    ],
)
def test_the_gradient_is_that_of_the_expansion(
    inner: int, batch: int, head: str, modality: str | None
) -> None:
    method, bank = mtt(inner=inner, batch=batch), bank_of(head, modality)
    real = alone(modality) if modality else toy_real()
    start = begun(method, real=real)
    loss, gradients = TrajectoryMatcher(method, bank, real, start, SEED, MACHINE).gradients(
        leaves_of(start), STEP
    )
    expected, by_hand = brute(method, bank, start, real, through=False)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    assert gradients.keys() == by_hand.keys()
    assert far(gradients, by_hand) < 1e-8


@pytest.mark.parametrize(("inner", "same"), [(1, True), (3, False)])
def test_with_one_inner_step_the_gradient_is_that_of_mtt(inner: int, same: bool) -> None:
    method, bank = mtt(inner=inner), bank_of("ensemble", None)
    start = begun(method)
    _, gradients = TrajectoryMatcher(method, bank, toy_real(), start, SEED, MACHINE).gradients(
        leaves_of(start), STEP
    )
    _, by_hand = brute(method, bank, start, toy_real(), through=True)
    assert (far(gradients, by_hand) < 1e-8) == same


class Alive:
    """Bytes that graphs hold at once for their backward passes."""

    def __init__(self) -> None:
        self.now = self.peak = 0

    def kept(self, values: Tensor) -> Held:
        held = Held(values.detach())
        self.now += values.nbytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(held, self._let_go, values.nbytes)
        return held

    def _let_go(self, size: int) -> None:
        self.now -= size


class Held:
    def __init__(self, values: Tensor) -> None:
        self.values = values


def peak(work: Any) -> int:
    alive = Alive()
    with torch.autograd.graph.saved_tensors_hooks(alive.kept, lambda held: held.values):
        work()
    return alive.peak


def test_memory_does_not_grow_with_inner_steps() -> None:
    start, bank = begun(mtt()), bank_of("ensemble", None)

    def ours(inner: int) -> int:
        # No augmentation: each saves what its kind needs.
        method = mtt(inner=inner, augment={"frame": (), "logmel": ()})
        matcher = TrajectoryMatcher(method, bank, toy_real(), start, SEED, MACHINE)
        return peak(lambda: matcher.gradients(leaves_of(start), STEP))

    def all_graphs(inner: int) -> int:
        return peak(lambda: brute(mtt(inner=inner), bank, start, toy_real(), through=True))

    assert ours(9) == ours(2) > 0
    assert all_graphs(9) > 2 * all_graphs(2)


def loss_at(rate: float, start: SyntheticSet | None = None) -> float:
    method = mtt(inner=4)
    start = start or begun(method)
    matcher = TrajectoryMatcher(method, bank_of("ensemble", None), toy_real(), start, SEED, MACHINE)
    return matcher.gradients(leaves_of(start, rate), STEP)[0].item()


def test_a_student_that_stays_has_the_whole_way_to_go() -> None:
    assert loss_at(1e-12) == pytest.approx(1, abs=1e-9)
    assert 0 < loss_at(0.001) < 0.99


def test_the_first_loss_is_what_it_was() -> None:
    (loss,) = mtt(steps=1).distill(toy_inputs(), ipc=1, seed=0, runtime=MACHINE).losses
    assert loss == pytest.approx(GOLDEN, rel=1e-4)


@given(order=st.permutations(range(6)))
@settings(max_examples=5)
def test_the_order_of_stored_instances_does_not_matter(order: list[int]) -> None:
    start = begun(mtt(), ipc=3)
    moved = dataclasses.replace(
        start,
        rows={m: rows[order] for m, rows in start.rows.items()},
        label=start.label[order],
        source_key=tuple(start.source_key[i] for i in order),
    )
    assert loss_at(0.03, moved) == pytest.approx(loss_at(0.03, start), rel=1e-10)


def stopped_at(last: int) -> Any:
    def report(done: int, total: int, **figures: float) -> None:
        if done == last:
            raise KeyboardInterrupt

    return report


def test_a_killed_descent_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    method = mtt(steps=5)
    whole = method.distill(toy_inputs(), ipc=1, seed=SEED, runtime=MACHINE)
    kept = Checkpoint(path=tmp_path / "step.safetensors", about={"whose": "mtt"}, every_s=0)
    for last in (2, 4):
        machine = dataclasses.replace(MACHINE, checkpoint=kept, report=stopped_at(last))
        with pytest.raises(KeyboardInterrupt):
            method.distill(toy_inputs(), ipc=1, seed=SEED, runtime=machine)
        assert len(kept.read()["losses"]) == last
    assert {
        "frame",
        "logmel",
        "rate.frame",
        "rate.logmel",
        "momentum.rate.frame",
    } <= kept.read().keys()
    message: list[int] = []
    machine = dataclasses.replace(
        MACHINE, checkpoint=kept, report=lambda done, total, **figures: message.append(done)
    )
    resumed = method.distill(toy_inputs(), ipc=1, seed=SEED, runtime=machine)
    assert message == [5]
    assert resumed.losses == whole.losses
    assert resumed.synthetic.provenance == whole.synthetic.provenance
    assert all(
        torch.equal(rows, whole.synthetic.rows[m]) for m, rows in resumed.synthetic.rows.items()
    )


@pytest.mark.parametrize("rate_step", [0.0, 0.1, 5.0])
def test_learned_rates_start_at_the_experts_and_stay_positive(rate_step: float) -> None:
    synthetic = (
        mtt(steps=3, rate_step=rate_step)
        .distill(toy_inputs(), ipc=1, seed=0, runtime=MACHINE)
        .synthetic
    )
    learned = synthetic.provenance["learned_rates"]
    assert learned.keys() == {"frame", "logmel"}
    assert all(
        rate > 0 and (rate == pytest.approx(toy_bank().rate)) == (rate_step == 0)
        for rate in learned.values()
    )


def test_descent_lowers_the_loss() -> None:
    method = mtt(steps=12, inner=4, max_start=1, augment={"frame": (), "logmel": ()})
    losses = method.distill(toy_inputs(), ipc=1, seed=0, runtime=MACHINE).losses
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_an_artifact_says_the_learned_rates(tmp_path: Path) -> None:
    bench = toy_bench()
    cell = cells.DistillCell(
        method="mtt",
        distiller=mtt(steps=2),
        ipc=1,
        inputs=toy_inputs(),
        runtime=MACHINE,
        budget=values().build("evaluate", Evaluate).protocols.budget,
        trainer=bench.trainer,
        val=bench.val,
    )
    cells.distil(cell, [0], tmp_path / "synthetic", tmp_path / "work")
    synthetic = tensors.load_synthetic(tmp_path / "synthetic" / "seed0.safetensors")
    write_artifact(tmp_path / "seed0.h5", synthetic, ExportSettings(storage="float32"))
    said = read_artifact(tmp_path / "seed0.h5").about
    assert said["method"] == "mtt"
    assert said["learned_rates"] == synthetic.provenance["learned_rates"]
    assert all(isinstance(rate, float) for rate in said["learned_rates"].values())


def test_a_bank_of_too_few_epochs_is_refused() -> None:
    message = (
        r"the experts have 2 epochs, and max_start 2 \+ ahead 1 are 3; "
        r"lower these in distill\.mtt, or raise experts\.epochs"
    )
    with pytest.raises(CellError, match=message):
        mtt(max_start=2).distill(toy_inputs(), ipc=1, seed=0, runtime=MACHINE)


def test_a_bank_of_other_shards_is_refused() -> None:
    with pytest.raises(
        CellError, match="the bank of experts was trained on shards toy0, the shards here are toy1"
    ):
        mtt().distill(
            toy_inputs(real=dataclasses.replace(toy_real(), digest="toy1")),
            ipc=1,
            seed=0,
            runtime=MACHINE,
        )


def test_memory_that_is_not_enough_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(TrajectoryMatcher, "gradients", full)
    with pytest.raises(CellError, match=r"a batch of 64 instances .* lower distill\.mtt\.batch"):
        mtt().distill(toy_inputs(), ipc=1, seed=0, runtime=MACHINE)


def test_ranks_cannot_share_it() -> None:
    assert not mtt().separable
