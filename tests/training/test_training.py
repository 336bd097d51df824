"""Training: students alone, side by side and stacked, learn the same."""

from __future__ import annotations

import dataclasses
import re
import runpy
import sys
import threading

import pytest
import torch

from pipeline.core.rng import make_generator
from pipeline.models.model import AudioVisual
from pipeline.training import instances, loop
from pipeline.training.students import TrainingJob
from tests.toys.plugins import built, rows_of, toy_bench
from tests.toys.project import CPU, ROOT
from tests.toys.samples import toy_real
from tests.toys.training import RECIPE, TOY, assert_same, doubled, student


@pytest.mark.parametrize("head", rows_of("head"))
def test_stacked_students_learn_what_single_ones_learn(head: str) -> None:
    """In float64, since noise grows over steps; students differ in weights, batches, instances."""
    sets = [doubled(instances.wrap_real_set(toy_real(seed=seed), CPU)) for seed in (0, 3)]
    alone, together = ([student(i, head) for i in range(2)] for _ in range(2))
    for i, module in enumerate(alone):
        loop.fit(module, sets[i], RECIPE, make_generator("b", i), CPU)
    loop.fit_stacked(together, sets, RECIPE, [make_generator("b", i) for i in range(2)], CPU)
    assert_same(alone, together)


def test_the_benchmark_of_students_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"--students": 2, "--ipc": 1, "--width": 4, "--steps": 2, "--batch": 8, "--rounds": 1}
    monkeypatch.setattr(
        sys, "argv", ["students.py", *(str(word) for pair in few.items() for word in pair)]
    )
    runpy.run_path(str(ROOT / "benchmarks/students.py"), run_name="__main__")
    assert re.search(r"^ratio, median of 1 pairs: [\d.]+$", capsys.readouterr().out, re.MULTILINE)


def test_results_are_in_the_order_of_the_jobs() -> None:
    trainer = toy_bench().trainer
    jobs = [
        TrainingJob(data=TOY, recipe=dataclasses.replace(RECIPE, steps=6 - i), name=("s", i))
        for i in range(6)
    ]
    found = trainer.train(jobs, lambda module: next(module.parameters()).sum().item())
    each = [
        trainer.train([job], lambda module: next(module.parameters()).sum().item())[0]
        for job in jobs
    ]
    assert found == each


def test_stacks_are_made_of_what_is_alike() -> None:
    """The GPU's way on a CPU: jobs of two recipes are two stacks, with results equal to noise."""
    trainer = toy_bench().trainer
    recipes = [RECIPE, RECIPE, dataclasses.replace(RECIPE, steps=3)]
    jobs = [TrainingJob(data=TOY, recipe=recipe, name=("s", i)) for i, recipe in enumerate(recipes)]

    def read(module: AudioVisual) -> torch.Tensor:
        return loop.predict(module, toy_real(4, seed=1), TOY.normalisation, CPU)["frame"]

    for one, other in zip(
        trainer._train_stacked(jobs, read, (0.5, 1)),
        trainer._train_threaded(jobs, read, (0.5, 1)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_an_error_in_one_student_stops_the_others() -> None:
    trainer = toy_bench().trainer
    jobs = [TrainingJob(data=TOY, recipe=dataclasses.replace(RECIPE, steps=10**6), name=("s", 0))]
    short = TrainingJob(data=TOY, recipe=RECIPE, name=("s", 1))

    def fail(module: AudioVisual) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        trainer.train([short, *jobs], fail)
    assert threading.active_count() == 1


def test_the_first_classes_alone_are_instances() -> None:
    own = (TOY.label < 1).nonzero().flatten()
    part = TOY.select(own, 1)
    assert (len(part.label), part.classes) == (12, 1)
    assert torch.equal(part.take(torch.tensor([1]))["frame"], TOY.take(own[[1]])["frame"])


def test_supcon_is_infonce_where_no_two_rows_share_a_class() -> None:
    outputs = {
        m: torch.nn.functional.normalize(torch.randn(5, 4, generator=make_generator(m)), dim=1)
        for m in ("frame", "logmel")
    }
    heads = [
        built("head", name).build({"frame": 3, "logmel": 3}, 5, make_generator("w"))
        for name in ("contrastive", "supcon")
    ]
    apart, alike = (
        [head.loss(outputs, label).item() for head in heads]
        for label in (torch.arange(5), torch.zeros(5).long())
    )
    assert apart[0] == pytest.approx(apart[1])
    assert alike[0] == pytest.approx(apart[0]) and alike[1] != pytest.approx(apart[1])
