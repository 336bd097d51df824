"""Train one student by one method, on class-balanced batches that are the same for all methods.

A killed run goes on from its last saved step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.core.errors import DivergedError
from pipeline.core.rng import make_generator
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.kd.method import KDBatch, Widths
from pipeline.kd.settings import BalancedBatch, StudentSettings, TeachSettings
from pipeline.models.initialisation import init_
from pipeline.training.augment import augment
from pipeline.training.loop import anneal_cosine

if TYPE_CHECKING:
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd.data import KDData
    from pipeline.kd.method import BufferUpdates, KDMethod
    from pipeline.models.model import NetworkPlugin
    from pipeline.models.towers import Towers


class Student(nn.Module):
    """One tower and a linear classifier.

    Args:
        towers: of one modality, with fresh weights.
        classes: number of classes.
        generator: draws the classifier's weights.
    """

    def __init__(self, towers: Towers, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        (self.width,) = towers.features.values()
        self.towers, self.classifier = towers, nn.Linear(self.width, classes)
        init_(self.classifier, generator)

    def forward(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return features [N, D] and logits [N, C] of normalised rows of one modality."""
        (features,) = self.towers.embed(rows).values()
        return {"features": features, "logits": self.classifier(features)}


class KDStep(nn.Module):
    """The loss of a student and of the modules that its method trains beside it.

    Args:
        student: the student.
        parts: the method's modules and memory banks.
        method: the method.
        weight: of the method's term beside the cross-entropy.
    """

    def __init__(
        self, student: Student, parts: nn.ModuleDict, method: KDMethod, weight: float
    ) -> None:
        super().__init__()
        self.student, self.parts, self.method, self.weight = student, parts, method, weight

    def forward(
        self, rows: Mapping[str, Tensor], target: Tensor, batch: Callable[..., KDBatch]
    ) -> tuple[Tensor, BufferUpdates]:
        """Return the loss, and the updates of memory banks.

        Args:
            rows: normalised rows of the student's modality.
            target: int64 [n], or class probabilities [n, C].
            batch: makes the method's batch from the student's outputs and the target.
        """
        outputs = self.student(rows)
        term = self.method.term(self.parts, batch(**outputs, target=target))
        loss = F.cross_entropy(outputs["logits"], target) + self.weight * term.student_loss
        return loss if term.module_loss is None else loss + term.module_loss, term.updates


@dataclass(frozen=True, kw_only=True)
class KDRun:
    """One student's training; students of one name start alike and see the same batches.

    Args:
        data: what the student learns from and is measured on.
        settings: section `teach`.
        student: the student's section of `students`.
        network: its network.
        method: the method.
        weight: of the method's term.
        rate: learning rate.
        name: counters that name the student and seed its draws.
        fraction: of the steps, after which training stops.
    """

    data: KDData
    settings: TeachSettings
    student: StudentSettings
    network: NetworkPlugin
    method: KDMethod
    weight: float
    rate: float
    name: tuple[int | str, ...]
    fraction: float = 1.0

    def count_steps(self, fraction: float) -> int:
        """Return the steps of a fraction of the training, at least one.

        Args:
            fraction: above 0, at most 1.
        """
        return max(round(fraction * self.settings.steps), 1)

    def build_student(self) -> Student:
        """Build a student with fresh weights."""
        generator = make_generator("teach", *self.name, "weights")
        instances = self.data.instances
        return Student(
            self.network.build(instances.shapes, generator), instances.classes, generator
        )

    def train(
        self, runtime: Runtime, callbacks: Mapping[int, Callable[[Student], None]] | None = None
    ) -> Student:
        """Train a student and return it.

        Args:
            runtime: device, progress and checkpoint.
            callbacks: number of steps -> function called with the student after them.

        Raises:
            DivergedError: the loss is not finite.
        """
        student = self.build_student()
        module = KDStep(student, self._build_parts(student), self.method, self.weight)
        optimizer = self._build_optimizer(module, runtime)
        module.to(runtime.device)

        def take_step(step: int) -> float:
            batch = self._build_batch(step, runtime.device)
            loss, updates = functional_call(module, optimizer.params, batch)
            value = optimizer.step([loss])
            if not math.isfinite(value):
                raise DivergedError(
                    f"a student's loss is {value} at step {step}; "
                    "lower teach.highest, or the weights of the method"
                )
            with torch.no_grad():
                for name, (index, values) in updates.items():
                    optimizer.params[f"parts.{name}"][index] = values
            if callbacks and step + 1 in callbacks:
                callbacks[step + 1](_load_weights(student, optimizer.params))
            return value

        optimizer.run(self.count_steps(self.fraction), take_step)
        return _load_weights(student, optimizer.params)

    def _build_optimizer(self, module: KDStep, runtime: Runtime) -> SyntheticOptimizer:
        """Build SGD on all weights and buffers; its rate falls as if all steps were taken."""
        params = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        settings, stop = self.settings, self.count_steps(self.fraction)
        return SyntheticOptimizer(
            params,
            dict.fromkeys(params, self.rate),
            settings.momentum,
            runtime,
            lambda done: anneal_cosine(done * stop / settings.steps),
            settings.weight_decay,
        )

    def _build_parts(self, student: Student) -> nn.ModuleDict:
        """Build the modules and memory banks that the method trains beside the student."""
        instances = self.data.instances
        widths = Widths(
            student=student.width,
            teachers={m: vectors.shape[1] for m, vectors in self.data.teachers.items()},
            classes=instances.classes,
            label=instances.label,
        )
        return self.method.build(widths, make_generator("teach", *self.name, "parts"))

    def _build_batch(
        self, step: int, device: torch.device
    ) -> tuple[dict[str, Tensor], Tensor, Callable[..., KDBatch]]:
        """Build a step's rows, targets and the rest of its batch; all of it follows from `step`."""
        data, instances = self.data, self.data.instances
        index = draw_balanced_batch(
            instances.label, self.settings.batch, make_generator("teach", *self.name, step, "batch")
        )
        generator = make_generator("teach", *self.name, step, "augment")
        taken = {m: values.to(device) for m, values in instances.take(index).items()}
        rows = {
            m: augment(values, self.student.augment, instances.normalisation[m].fill, generator)
            for m, values in taken.items()
        }
        label = instances.label[index].to(device)
        soft = instances.soft
        target = soft[data.modality][index].to(device) if soft else label
        vectors = {m: values[index] for m, values in data.teachers.items()}
        batch = partial(
            KDBatch,
            label=label,
            rows=index.to(device),
            teachers={m: values.to(device) for m, values in vectors.items()},
            probes={m: data.probes[m].logits(values).to(device) for m, values in vectors.items()},
            epoch=step * len(index) // len(instances.label),
            generator=make_generator("teach", *self.name, step, "method"),
        )
        return rows, target, batch


def draw_balanced_batch(label: Tensor, batch: BalancedBatch, generator: torch.Generator) -> Tensor:
    """Draw the rows of a step, class by class.

    Args:
        label: int64 [N], of the training set.
        batch: classes and samples.
        generator: of the draws.

    Returns:
        Row numbers, int64 [classes x samples].
    """
    classes = label.bincount().nonzero().flatten()
    rows = []
    for number in classes[torch.randperm(len(classes), generator=generator)[: batch.classes]]:
        members = (label == number).nonzero().flatten()
        order = members[torch.randperm(len(members), generator=generator)]
        rows.append(order.repeat(math.ceil(batch.samples / len(members)))[: batch.samples])
    return torch.cat(rows)


def _load_weights(student: Student, params: Mapping[str, Tensor]) -> Student:
    """Load the student's weights from the optimizer's params."""
    weights = {
        name.removeprefix("student."): values.detach()
        for name, values in params.items()
        if name.startswith("student.")
    }
    student.load_state_dict(weights)
    return student
