"""What a GPU does is what a CPU does, up to bfloat16, and the same bits each time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.checkpoints import Checkpoint
from pipeline.core.rng import make_generator
from pipeline.distillation.inputs import Runtime
from pipeline.distillation.optimise import DistillResult
from pipeline.models.networks.convnet import Network
from pipeline.training import instances, loop
from pipeline.training.loop import ignore_progress
from tests.toys.golden import rows_of_golden
from tests.toys.plugins import built, toy_inputs
from tests.toys.project import CPU
from tests.toys.samples import toy_real
from tests.toys.training import RECIPE, assert_same, doubled, student

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = torch.device("cuda")
# Wide enough for the fused blocks.
NETWORKS = {
    "convnet": Network(
        width=16, depth={"frame": 2, "logmel": 2}, grid=2, padding={"frame": 1, "logmel": 3}
    )
}
EVERY = {
    "frame": ("color", "crop", "cutout", "flip", "scale", "rotate"),
    "logmel": ("shift", "gain", "mask_time", "mask_mel"),
}


def distilled(method: str, device: torch.device, steps: int = 8, **machine: Any) -> DistillResult:
    distiller = dataclasses.replace(built("method", method), steps=steps)
    if hasattr(distiller, "augment"):
        distiller = dataclasses.replace(distiller, augment=EVERY)
    there = Runtime(**{"device": device, "report": ignore_progress, **machine})
    return distiller.distill(toy_inputs(networks=NETWORKS), ipc=1, seed=0, runtime=there)


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_the_first_loss_is_that_of_a_cpu(method: str) -> None:
    here, there = (distilled(method, device, steps=1).losses[0] for device in (CPU, CUDA))
    assert there == pytest.approx(here, rel=2e-2)


@pytest.mark.parametrize("method", rows_of_golden(moves=True))
def test_what_goes_on_from_a_checkpoint_ends_in_the_same_bits(method: str, tmp_path: Path) -> None:
    kept = Checkpoint(path=tmp_path / "checkpoint.safetensors")

    def stop(done: int, total: int, **_: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    whole = distilled(method, CUDA)
    with pytest.raises(KeyboardInterrupt):
        distilled(method, CUDA, report=stop, checkpoint=kept)
    resumed = distilled(method, CUDA, checkpoint=kept)
    assert resumed.losses == whole.losses
    assert all(
        torch.equal(rows, whole.synthetic.rows[m]) for m, rows in resumed.synthetic.rows.items()
    )


@pytest.mark.parametrize("head", ["ensemble", "attention"])
def test_recorded_steps_teach_what_single_ones_do(head: str) -> None:
    """In float64, over enough steps that those of both sizes of batch are replayed."""
    recipe = dataclasses.replace(RECIPE, steps=20)
    sets = [doubled(instances.wrap_real_set(toy_real(seed=seed), CUDA)) for seed in (0, 3)]
    alone, together = ([student(i, head).to(CUDA) for i in range(2)] for _ in range(2))
    for i, module in enumerate(alone):
        loop.fit(module, sets[i], recipe, make_generator("b", i), CUDA)
    loop.fit_stacked(together, sets, recipe, [make_generator("b", i) for i in range(2)], CUDA)
    assert_same(alone, together)
