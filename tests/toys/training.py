"""Students of the toy."""

from __future__ import annotations

import dataclasses

import torch

from pipeline.core.rng import make_generator
from pipeline.evaluation import Evaluate
from pipeline.models import model
from pipeline.models.model import AudioVisual
from pipeline.training import instances
from pipeline.training.instances import Instances
from tests.toys.plugins import NETWORKS, built
from tests.toys.project import CPU, values
from tests.toys.samples import toy_real

BUDGET = dataclasses.replace(
    values().build("evaluate", Evaluate).protocols.budget, steps=6, batch=16
)
RECIPE = BUDGET.make_recipe(0.003)
TOY = instances.wrap_real_set(toy_real(), CPU)


def student(number: int, head: str, data: Instances = TOY) -> AudioVisual:
    return model.build(
        NETWORKS["convnet"],
        built("head", head),
        data.shapes,
        data.classes,
        make_generator("w", number),
    ).double()


def assert_same(alone: list[AudioVisual], together: list[AudioVisual]) -> None:
    """Weight by weight, up to the noise of float64."""
    for one, other in zip(alone, together, strict=True):
        for (name, expected), found in zip(
            one.state_dict().items(), other.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9, msg=name)


def doubled(data: Instances) -> Instances:
    return dataclasses.replace(
        data, take=lambda index: {m: rows.double() for m, rows in data.take(index).items()}
    )
