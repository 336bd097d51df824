"""Gradient matching: its distance and gradient, the same steps after an interrupt, refusals."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import CellError, PluginError
from pipeline.core.records import RealSet
from pipeline.core.rng import make_generator
from pipeline.distillation.gradient_matching import distance, gradients
from pipeline.distillation.inputs import Runtime
from pipeline.distillation.methods.gradient import Loop
from pipeline.models.heads.ensemble import Head
from pipeline.models.initialisation import init_
from pipeline.models.model import AudioVisual
from pipeline.models.towers import Towers
from pipeline.training.instances import decode_synthetic_set
from pipeline.training.loop import ignore_progress
from tests.toys.plugins import NETWORKS, built, distilled, rows_of, toy_inputs
from tests.toys.project import CPU
from tests.toys.samples import toy_real

METHODS = ["dc", "dsa"]
SHAPES = {"frame": (1, 3, 4, 4), "logmel": (1, 4, 4)}
LABEL = torch.tensor([0, 0, 1, 2])


def tiny() -> AudioVisual:
    """Smooth towers of one convolution each, in float64, with classifiers of three classes."""
    layers = {
        m: nn.Sequential(nn.Conv2d(shape[-3], 2, 3), nn.GroupNorm(2, 2), nn.Tanh())
        for m, shape in SHAPES.items()
    }
    towers = Towers(layers, SHAPES, torch.Generator())
    module = AudioVisual(towers, Head().build(towers.features, 3, torch.Generator()))
    init_(module, torch.Generator().manual_seed(0))
    return module.double()


def rows(seed: int, each: int = len(LABEL)) -> dict[str, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return {
        m: torch.randn(each, *shape, generator=numbers, dtype=torch.float64)
        for m, shape in SHAPES.items()
    }


def apart(one: list[Tensor], other: list[Tensor]) -> float:
    return distance(one, other).item()


def drawn(seed: int) -> list[Tensor]:
    """Gradients of a convolution and of a linear layer of six units."""
    numbers = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=numbers, dtype=torch.float64)
        for shape in ((6, 3, 2, 2), (6, 7))
    ]


def test_equal_gradients_are_no_distance_apart() -> None:
    assert apart(drawn(0), drawn(0)) == pytest.approx(0, abs=1e-5)


def test_each_unit_counts_one_minus_the_cosine() -> None:
    one, other = drawn(0), drawn(1)
    cosines = [
        torch.cosine_similarity(a.reshape(6, -1), b.reshape(6, -1))
        for a, b in zip(one, other, strict=True)
    ]
    assert apart(one, other) == pytest.approx(
        sum((1 - cosine).sum().item() for cosine in cosines), rel=1e-5
    )


def test_opposite_gradients_are_two_apart_a_unit_and_their_length_is_nothing() -> None:
    assert apart(drawn(0), [-3 * values for values in drawn(0)]) == pytest.approx(2 * 12, rel=1e-5)


def test_a_unit_without_gradient_has_a_slope() -> None:
    silent_unit = [
        values.clone().index_fill_(0, torch.tensor([2]), 0.0).requires_grad_()
        for values in drawn(0)
    ]
    distance(drawn(1), silent_unit).backward()
    assert all(values.grad is not None and values.grad.isfinite().all() for values in silent_unit)


@given(order=st.permutations(range(len(LABEL))))
def test_the_order_of_samples_changes_nothing(order: list[int]) -> None:
    module, ours, theirs = tiny(), rows(0), rows(1)
    moved = gradients(module, {m: values[order] for m, values in theirs.items()}, LABEL[order])
    mine = gradients(module, ours, LABEL)
    assert apart(moved, mine) == pytest.approx(
        apart(gradients(module, theirs, LABEL), mine), rel=1e-9
    )


@given(order=st.permutations(range(3)))
def test_the_numbering_of_classes_changes_nothing(order: list[int]) -> None:
    module, ours, theirs = tiny(), rows(0), rows(1)

    def of(label: Tensor) -> float:
        return apart(gradients(module, theirs, label), gradients(module, ours, label))

    before = of(LABEL)
    for part in module.head.parts.values():
        for values in (part.layer.weight, part.layer.bias):
            values.data = values.data[order]
    assert of(torch.tensor([order.index(label) for label in LABEL.tolist()])) == pytest.approx(
        before, rel=1e-9
    )


def test_biases_and_norms_are_no_part_of_it() -> None:
    # One convolution and one classifier of each modality.
    assert [values.ndim for values in gradients(tiny(), rows(0), LABEL)] == [4, 4, 2, 2]


def test_slopes_agree_with_finite_differences() -> None:
    module, theirs = tiny(), gradients(tiny(), rows(1), LABEL)

    def of(frame: Tensor, logmel: Tensor) -> Tensor:
        return distance(
            theirs,
            gradients(module, {"frame": frame, "logmel": logmel}, LABEL, differentiable=True),
        )

    assert torch.autograd.gradcheck(
        of, [values.requires_grad_() for values in rows(0).values()], atol=1e-6
    )


def test_the_distance_of_modalities_is_their_sum() -> None:
    def of(*modalities: str) -> float:
        sides = (
            gradients(module, {m: own[m] for m in modalities}, LABEL) for own in (rows(0), rows(1))
        )
        return apart(*sides)

    module = tiny()
    both = of("frame", "logmel")
    parts = module.head.parts
    towers, alone = module.towers.towers, 0.0
    for m in SHAPES:
        module.towers.towers, module.head.parts = (
            nn.ModuleDict({m: towers[m]}),
            nn.ModuleDict({m: parts[m]}),
        )
        alone += of(m)
    assert both == pytest.approx(alone, rel=1e-9)


def looped(method: str, **changes: Any) -> Any:
    """The method with several steps on each network, and training between them."""
    return dataclasses.replace(
        built("method", method), loops=(Loop(ipc=1, outer=3, inner=2),), **changes
    )


def run(distiller: Any, *, ipc: int = 1, **changes: Any) -> Any:
    machine = Runtime(**{"device": CPU, "report": ignore_progress, **changes})
    return distiller.distill(toy_inputs(), ipc=ipc, seed=0, runtime=machine)


# On a CPU, in float32; a change of these numbers is a change of the method.
GOLDEN = {"dc": (9.9044985, 11.6055659), "dsa": (4.6392611, 8.7181388)}


@pytest.mark.parametrize("method", METHODS)
def test_the_losses_are_what_they_were(method: str) -> None:
    rates = {"frame": (0.1,), "logmel": (0.1,)}
    distiller = looped(
        method, rates=rates, momentum=0.5, batch_real=16, batch_net=256, rate_net=0.01
    )
    assert run(distiller).losses == pytest.approx(GOLDEN[method], rel=1e-4)


def test_the_first_loss_is_that_of_the_formula() -> None:
    dc, real = looped("dc", steps=1, batch_real=12), toy_real()
    start, network = dc.begin(toy_inputs(), ipc=2, seed=0), NETWORKS["convnet"]
    towers = network.build(real.shapes, torch.Generator())
    module = AudioVisual(towers, Head().build(towers.features, 2, torch.Generator()))
    init_(module, make_generator("network", 0, 0))
    ours, expected = decode_synthetic_set(start, CPU), 0.0
    for label in range(2):
        theirs, index = (
            (real.label == label).nonzero().flatten(),
            (ours.label == label).nonzero().flatten(),
        )
        sides = [
            (real.normalise(theirs), real.label[theirs]),
            (ours.take(index), ours.label[index]),
        ]
        expected += distance(*(gradients(module, *side) for side in sides)).item()
    once = dataclasses.replace(dc, loops=(Loop(ipc=1, outer=1, inner=1),))
    assert run(once, ipc=2).losses == pytest.approx((expected,), rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [1, 2])
def test_a_stopped_descent_ends_in_the_same_bits(method: str, stop: int, tmp_path: Path) -> None:
    distiller = looped(method, steps=4)
    checkpoint = Checkpoint(path=tmp_path / "step.safetensors", every_s=0)

    def stopping(done: int, total: int, **figures: float) -> None:
        if done == stop:  # an interrupt keeps the step that it comes after
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(distiller, report=stopping, checkpoint=checkpoint)
    assert len(checkpoint.read()["losses"]) == stop
    again, whole = run(distiller, checkpoint=checkpoint), run(distiller)
    assert again.losses == whole.losses
    assert all(
        torch.equal(values, whole.synthetic.rows[m]) for m, values in again.synthetic.rows.items()
    )


def test_a_network_is_named_by_its_number_alone() -> None:
    one = run(looped("dsa", steps=1))
    assert one.losses == run(looped("dsa", steps=2)).losses[:1]


def test_a_second_step_on_a_network_begins_lower() -> None:
    # All real samples, and a network that hardly moves, so that both steps see the same.
    small = {"frame": (0.001,), "logmel": (0.001,)}
    still = looped("dc", steps=1, rate_net=1e-9, rates=small, batch_real=12)
    once, twice = (
        dataclasses.replace(still, loops=(Loop(ipc=1, outer=outer, inner=1),)) for outer in (1, 2)
    )
    first, mean = run(once).losses[0], run(twice).losses[0]
    assert 2 * mean - first < first


@pytest.mark.parametrize("name", rows_of("network"))
def test_a_network_drawn_anew_has_nothing_of_before(name: str) -> None:
    towers = built("network", name).build(
        {"frame": (1, 3, 32, 32)}, torch.Generator().manual_seed(0)
    )
    fresh = copy.deepcopy(towers.state_dict())
    for values in towers.parameters():
        values.data += 1.0
    init_(towers, torch.Generator().manual_seed(0))
    assert all(torch.equal(values, fresh[key]) for key, values in towers.state_dict().items())


def test_augmentation_is_what_dsa_has_and_dc_has_not() -> None:
    shared = {f.name: getattr(looped("dc"), f.name) for f in dataclasses.fields(looped("dc"))}
    dsa = dataclasses.replace(looped("dc"), **{**shared, "augment": built("method", "dsa").augment})
    bare = dataclasses.replace(dsa, augment={"frame": (), "logmel": ()})
    plain, seen, unseen = (run(distiller).synthetic.rows for distiller in (looped("dc"), dsa, bare))
    assert all(
        torch.equal(plain[m], unseen[m]) and not torch.equal(plain[m], seen[m]) for m in plain
    )


def alone(real: RealSet, modality: str) -> RealSet:
    return dataclasses.replace(
        real,
        rows={modality: real.rows[modality]},
        normalisation={modality: real.normalisation[modality]},
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("modality", ["frame", "logmel"])
def test_one_modality_is_enough(method: str, modality: str) -> None:
    distiller = looped(method)
    moved = distilled(distiller, real=alone(toy_real(), modality))
    start = distiller.begin(toy_inputs(), ipc=1, seed=0)
    assert list(moved.rows) == [modality]
    assert not torch.equal(moved.rows[modality], start.rows[modality])


def test_loops_are_those_of_the_largest_ipc_below() -> None:
    loops = (Loop(ipc=2, outer=5, inner=6), Loop(ipc=1, outer=3, inner=2))
    several = dataclasses.replace(looped("dc"), loops=loops)
    one, three = (
        dataclasses.replace(several, loops=(dataclasses.replace(loop, ipc=1),))
        for loop in reversed(loops)
    )
    for ipc, other in ((1, one), (3, three)):
        expected = distilled(other, ipc=ipc).rows
        assert all(
            torch.equal(values, expected[m])
            for m, values in distilled(several, ipc=ipc).rows.items()
        )


def test_an_ipc_below_all_loops_is_refused() -> None:
    dc = dataclasses.replace(
        looped("dc"), loops=(Loop(ipc=10, outer=10, inner=50), Loop(ipc=20, outer=20, inner=25))
    )
    with pytest.raises(
        CellError, match=r"no loops are given for ipc 1, only from 10, 20 on; add \{ipc: 1, outer"
    ):
        distilled(dc)


def test_a_modality_without_augmentations_is_named() -> None:
    with pytest.raises(
        PluginError, match="no list of augmentations named 'logmel' was given; there are frame"
    ):
        distilled(looped("dsa", augment={"frame": ()}))


@pytest.mark.parametrize("method", METHODS)
def test_more_than_one_rank_is_refused_by_name(method: str) -> None:
    assert not built("method", method).separable
