"""Soft labels: experts' predictions for each piece are stored, and students learn them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.artifact import read_artifact, write_artifact
from pipeline.core.errors import CellError, PipelineError
from pipeline.core.rng import make_generator
from pipeline.core.tensors import load_synthetic, save_synthetic
from pipeline.distillation.methods._selection import form
from pipeline.distillation.soft_labels import add_soft_labels
from pipeline.models import model
from pipeline.training import instances, loop
from pipeline.training.loop import Recipe
from pipeline.training.students import TrainingJob
from tests.toys.artifacts import FULL, UNEVEN, soft, toy_synthetic
from tests.toys.golden import bank
from tests.toys.plugins import built, distilled, toy_bench, toy_inputs
from tests.toys.project import CPU
from tests.toys.samples import toy_real


def experts_say(rows: dict[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """The experts' mean belief of whole instances, written out."""
    module, found = bank().build_empty_model(toy_real(), CPU), []
    for expert in range(2):
        module.load_state_dict(bank().state_after(expert, 2))
        found.append({m: (z / temperature).softmax(1) for m, z in module(rows).items()})
    return {m: (found[0][m] + found[1][m]) / 2 for m in rows}


def test_each_piece_has_its_own_distribution_over_classes() -> None:
    for values in soft().soft_label.values():
        assert values.shape == (4, 4, 2)
        assert torch.allclose(values.sum(-1), torch.ones(4, 4)) and values.std() > 0


@pytest.mark.parametrize("grids", [UNEVEN, {"frame": (2, 2), "logmel": (2, 2)}])
def test_students_learn_of_each_instance_what_the_experts_say_of_it(
    grids: dict[str, tuple[int, int]],
) -> None:
    made = soft(form(toy_real(), toy_inputs().coresets["herding"].select, 2, grids), 2.0)
    data = instances.decode_synthetic_set(made, CPU)
    for m, said in experts_say(data.take(torch.arange(len(data.label))), 2.0).items():
        assert torch.allclose(data.soft[m], said, atol=1e-6)


def test_a_modality_with_fewer_pieces_has_fewer_labels() -> None:
    made = soft(form(toy_real(), toy_inputs().coresets["herding"].select, 2, UNEVEN))
    assert {m: values.shape[1] for m, values in made.soft_label.items()} == {
        "frame": 1,
        "logmel": 4,
    }


def test_labels_are_softer_by_what_makes_the_experts_as_certain_as_they_are_right() -> None:
    doubted = dataclasses.replace(bank(), temperature={"frame": 3.0, "logmel": 1.0})
    made = add_soft_labels(toy_synthetic(), doubted, toy_real(), {"frame": 4.0, "logmel": 4.0}, CPU)
    assert torch.allclose(
        made.soft_label["frame"], soft(temperature=12.0).soft_label["frame"], atol=1e-6
    )
    assert torch.equal(made.soft_label["logmel"], soft().soft_label["logmel"])


def test_heat_makes_labels_even() -> None:
    assert all(
        (values - 0.5).abs().max() < 1e-3 for values in soft(temperature=1e6).soft_label.values()
    )


def test_rows_stay_as_they_are() -> None:
    assert all(torch.equal(rows, soft().rows[m]) for m, rows in toy_synthetic().rows.items())


def test_labelling_needs_experts() -> None:
    with pytest.raises(CellError, match="labelled works with a bank of experts and none was given"):
        distilled(built("method", "labelled"), bank=None)


def test_labelled_is_formed_with_labels() -> None:
    one, other = (distilled(built("method", name)) for name in ("labelled", "formed"))
    assert one.soft_label and not other.soft_label
    assert all(torch.equal(rows, other.rows[m]) for m, rows in one.rows.items())


def test_labelled_has_labels_of_whole_samples() -> None:
    made, formed = (distilled(built("method", name)) for name in ("labelled", "formed"))
    heats = built("method", "labelled").temperature
    message = add_soft_labels(
        formed,
        toy_inputs().require_experts("labelled"),
        toy_real(),
        heats,
        CPU,
        unchanged=tuple(heats),
    ).soft_label
    assert all(torch.equal(values, message[m]) for m, values in made.soft_label.items())


@pytest.mark.parametrize("temperature", [None, 4.0])
def test_jcf_labels_in_the_end_where_it_has_a_temperature(temperature: float | None) -> None:
    made = distilled(
        dataclasses.replace(built("method", "jcf"), temperature=dict.fromkeys(UNEVEN, temperature))
    )
    assert bool(made.soft_label) == (temperature is not None)


@pytest.mark.parametrize("grids", [UNEVEN, {"frame": (2, 2), "logmel": (2, 2)}])
def test_samples_that_stayed_are_labelled_as_the_whole_samples_that_they_are(
    grids: dict[str, tuple[int, int]],
) -> None:
    best = toy_inputs().coresets["herding"].select
    made, whole = (
        form(toy_real(), best, 2, grids),
        form(toy_real(), best, 2 * 4, dict.fromkeys(grids, (1, 1))),
    )
    message = add_soft_labels(
        made, bank(), toy_real(), dict.fromkeys(grids, 4.0), CPU, unchanged=grids
    ).soft_label
    said = soft(whole).soft_label
    for m, (high, wide) in grids.items():
        for number in range(
            high * wide
        ):  # piece `number` of a class's two rows is of its samples 2 * number and the next
            ranks = torch.tensor([2 * number, 2 * number + 1, 8 + 2 * number, 8 + 2 * number + 1])
            assert torch.allclose(message[m][:, number], said[m][ranks, 0], atol=1e-6)


def test_a_modality_that_stayed_is_labelled_so_alone() -> None:
    made = form(
        toy_real(), toy_inputs().coresets["herding"].select, 2, {"frame": (2, 2), "logmel": (2, 2)}
    )
    one = add_soft_labels(
        made, bank(), toy_real(), dict.fromkeys(UNEVEN, 4.0), CPU, unchanged=["logmel"]
    ).soft_label
    assert torch.equal(one["frame"], soft(made).soft_label["frame"])
    assert not torch.equal(one["logmel"], soft(made).soft_label["logmel"])


@pytest.mark.parametrize("moving", [["frame"], []])
def test_a_step_size_of_zero_leaves_rows_as_they_start(moving: list[str]) -> None:
    rates = {m: (30.0 * (m in moving),) for m in UNEVEN}
    method = dataclasses.replace(
        built("method", "jcf"), rates=rates, others=(), temperature=dict.fromkeys(UNEVEN, 4.0)
    )
    made, start = distilled(method, ipc=2), method.begin(toy_inputs(), ipc=2, seed=0)
    still = [m for m in UNEVEN if m not in moving]
    assert [m for m in UNEVEN if torch.equal(made.rows[m], start.rows[m])] == still
    message = add_soft_labels(
        start,
        toy_inputs().require_experts("jcf"),
        toy_real(),
        dict.fromkeys(UNEVEN, 4.0),
        CPU,
        unchanged=still,
    ).soft_label
    assert all(torch.equal(made.soft_label[m], message[m]) for m in still)


def test_a_modality_without_a_temperature_keeps_the_class() -> None:
    made = add_soft_labels(toy_synthetic(), bank(), toy_real(), {"frame": None, "logmel": 4.0}, CPU)
    assert torch.equal(
        made.soft_label["frame"], F.one_hot(made.label, 2).float()[:, None].expand(-1, 4, -1)
    )
    assert torch.equal(made.soft_label["logmel"], soft().soft_label["logmel"])


def test_soft_labels_come_back_from_between_stages(tmp_path: Path) -> None:
    save_synthetic(tmp_path / "seed0.safetensors", soft())
    read = load_synthetic(tmp_path / "seed0.safetensors")
    assert set(read.rows) == {"frame", "logmel"}
    assert all(torch.equal(values, read.soft_label[m]) for m, values in soft().soft_label.items())


def test_soft_labels_come_back_from_an_artifact(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", soft(), FULL)
    read = read_artifact(tmp_path / "seed0.h5").synthetic
    assert set(read.rows) == {"frame", "logmel"}
    assert all(torch.equal(values, read.soft_label[m]) for m, values in soft().soft_label.items())


def test_labels_of_one_modality_alone_are_refused() -> None:
    made = soft()
    with pytest.raises(
        PipelineError, match="soft labels are of frame, rows of frame, logmel; expected"
    ):
        dataclasses.replace(made, soft_label={"frame": made.soft_label["frame"]})


def test_a_certain_label_is_the_class_itself() -> None:
    outputs, label = (
        {m: torch.randn(5, 3, generator=make_generator(m)) for m in ("frame", "logmel")},
        torch.tensor([0, 1, 2, 0, 1]),
    )
    head = built("head", "ensemble").build({"frame": 3, "logmel": 3}, 3, make_generator("w"))
    certain = dict.fromkeys(outputs, F.one_hot(label, 3).float())
    assert head.loss(outputs, label, certain).item() == pytest.approx(
        head.loss(outputs, label).item()
    )


def test_an_output_that_sees_both_learns_the_mean_of_their_labels() -> None:
    label, given = (
        torch.zeros(5).long(),
        {m: torch.rand(5, 3, generator=make_generator(m)).softmax(1) for m in ("frame", "logmel")},
    )
    head = built("head", "concat").build({"frame": 3, "logmel": 3}, 3, make_generator("w"))
    outputs = head({m: torch.randn(5, 3, generator=make_generator(m)) for m in ("frame", "logmel")})
    (logits,) = outputs.values()
    expected = F.cross_entropy(logits, (given["frame"] + given["logmel"]) / 2).item()
    assert head.loss(outputs, label, given).item() == pytest.approx(expected)


def test_the_first_classes_share_what_their_labels_say() -> None:
    data = instances.decode_synthetic_set(soft(), CPU)
    for values in data.select(torch.tensor([0, 3]), 1).soft.values():
        assert torch.equal(values, torch.ones(2, 1))


def test_stacked_students_learn_soft_labels_as_single_ones_do() -> None:
    trainer, data = toy_bench().trainer, instances.decode_synthetic_set(soft(), CPU)
    recipe = Recipe.build_uniform(
        0.01, {"frame": (), "logmel": ()}, steps=4, batch=8, weight_decay=0.0
    )
    jobs = [TrainingJob(data=data, recipe=recipe, name=("s", i)) for i in range(2)]

    def read(module: model.AudioVisual) -> Tensor:
        return loop.predict(module, toy_real(4, seed=1), data.normalisation, CPU)["frame"]

    for one, other in zip(
        trainer._train_stacked(jobs, read, (1,)),
        trainer._train_threaded(jobs, read, (1,)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_students_of_soft_labels_are_others() -> None:
    trainer, recipe = (
        toy_bench().trainer,
        Recipe.build_uniform(0.01, {"frame": (), "logmel": ()}, steps=4, batch=8, weight_decay=0.0),
    )
    sets = [instances.decode_synthetic_set(made, CPU) for made in (toy_synthetic(), soft())]
    hard, other = trainer.train(
        [TrainingJob(data=data, recipe=recipe, name=("s", 0)) for data in sets],
        lambda module: module,
    )
    assert not torch.equal(
        hard.head.parts["frame"].layer.weight, other.head.parts["frame"].layer.weight
    )
