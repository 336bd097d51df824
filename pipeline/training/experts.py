"""Train the bank: networks on the real set, each from its own start, with their weights after every epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core import tensors
from pipeline.core.files import create_folder
from pipeline.core.params import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval
from pipeline.core.rng import make_generator
from pipeline.models import model
from pipeline.training import instances, loop
from pipeline.training.augment import Operation
from pipeline.training.bank import write_bank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet
    from pipeline.models.model import HeadPlugin, NetworkPlugin
    from pipeline.training.bank import Course


@dataclass(frozen=True, kw_only=True)
class ExpertSettings:
    """Section `experts`.

    Args:
        network, head: what each expert is; by name.
        rate: of SGD with momentum, the same throughout, as trajectories want it (MTT: Cazenavette et al., CVPR 2022).
        augment: modality -> augmentations, one drawn per batch and modality.
    """

    network: str
    head: str
    count: PositiveInt
    epochs: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    momentum: UnitInterval
    weight_decay: NonNegativeFloat
    augment: dict[str, tuple[Operation, ...]]
    seed: int

    def recipe(self, samples: int) -> loop.Recipe:
        """Whole epochs over so many samples."""
        rates = dict.fromkeys(self.augment, self.rate)
        return loop.Recipe(
            steps=self.epochs * math.ceil(samples / self.batch),
            batch=self.batch,
            rates=rates,
            head_rates=rates,
            weight_decay=self.weight_decay,
            schedule=loop.constant,
            stops=dict.fromkeys(self.augment, 1.0),
            operations=self.augment,
            momentum=self.momentum,
        )


@dataclass(frozen=True, kw_only=True)
class ExpertTrainer:
    """The settings, with everything that they name, and the real set that the experts learn from.

    Args:
        val: what their certainty is compared with; they learn nothing from it.
        report: called with (done, all) steps of all experts.
    """

    settings: ExpertSettings
    network: NetworkPlugin
    head: HeadPlugin
    real: RealSet
    val: RealSet
    device: torch.device
    report: Callable[..., None]

    @property
    def cache_key(self) -> list[object]:
        """JSON values of all that decides the weights, besides the code."""
        form = {"network": asdict(self.network), "head": asdict(self.head)}  # type: ignore[call-overload]
        return [asdict(self.settings), form, self.real.digest, self.val.digest, self.device.type]

    def train(self, number: int) -> Course:
        """Train one expert; its weights at the start and after every epoch."""
        data, name = (
            instances.wrap_real_set(self.real, self.device),
            ("expert", self.settings.seed, number),
        )
        recipe = self.settings.recipe(len(self.real))
        module = model.build(
            self.network, self.head, data.shapes, data.classes, make_generator(*name, "weights")
        ).to(self.device)
        states = [_copy_state(module)]

        def report_progress(done: int, total: int, **figures: float) -> None:
            self.report(number * total + done, self.settings.count * total, **figures)

        each = recipe.steps // self.settings.epochs
        marks = loop.Snapshots(
            steps=range(each, recipe.steps + 1, each),
            look=lambda _: states.append(_copy_state(module)),
        )
        loop.fit(
            module,
            data,
            recipe,
            make_generator(*name, "batches"),
            self.device,
            report_progress,
            marks,
        )
        return {key: torch.stack([state[key] for state in states]) for key in states[0]}

    def accuracy(self, course: Course) -> dict[str, float]:
        """Of each output after the last epoch, on the training split."""
        outputs = self._compute_logits(course, self.real)
        return {
            name: (logits.argmax(1) == self.real.label).float().mean().item()
            for name, logits in outputs.items()
        }

    def temperature(self, courses: Sequence[Course]) -> dict[str, float]:
        """Of each output after the last epoch: what makes the experts as certain as they are right on the validation split."""
        seen = [self._compute_logits(course, self.val) for course in courses]
        label = self.val.label.repeat(len(courses))
        return {
            name: temperature(torch.cat([own[name] for own in seen]), label) for name in seen[0]
        }

    def _compute_logits(self, course: Course, real: RealSet) -> dict[str, Tensor]:
        """Logits of each output after the last epoch, on every sample."""
        data = instances.wrap_real_set(self.real, self.device)
        module = model.build(
            self.network, self.head, data.shapes, data.classes, make_generator("outputs")
        ).to(self.device)
        module.load_state_dict({name: values[-1] for name, values in course.items()})
        return loop.apply_in_batches(module, module, real, self.real.normalisation, self.device)


def train_bank(out: Path, school: ExpertTrainer, parts: PartialResults) -> dict[str, float]:
    """Write the bank to the folder `out`; return each output's mean accuracy on the training split.

    Finished experts are parts and survive an interruption.
    """
    names = [f"expert{number:03d}" for number in range(school.settings.count)]
    courses = [
        parts.load_or_make(name, partial(school.train, number)) for number, name in enumerate(names)
    ]
    accuracies = [school.accuracy(course) for course in courses]
    about = {
        "params": asdict(school.settings),
        "shards": school.real.digest,
        "preprocessing": school.real.preprocessing,
        "accuracy": accuracies,
        "temperature": school.temperature(courses),
    }
    with create_folder(out) as part:
        files = [part / f"{name}.safetensors" for name in names]
        for file, course in zip(files, courses, strict=True):
            tensors.save(file, course, {})
        write_bank(part, files, about, school.network, school.head)
    parts.remove()
    return {name: sum(own[name] for own in accuracies) / len(accuracies) for name in accuracies[0]}


def _copy_state(module: torch.nn.Module) -> Course:
    return {name: values.detach().cpu().clone() for name, values in module.state_dict().items()}


# An eighth of an octave apart. The lowest is 1/2: samples that are all right would take it to 0, and say no more than that.
TEMPERATURES = tuple(2 ** (i / 8) for i in range(-8, 65))


def temperature(logits: Tensor, label: Tensor) -> float:
    """The temperature of logits [N, classes] for classes int64 [N], from 1/2 to 256."""
    return min(TEMPERATURES, key=lambda t: F.cross_entropy(logits / t, label).item())
