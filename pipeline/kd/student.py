"""One student, taught by one method: class-balanced batches, the same for all methods, and a killed run goes on."""

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
from pipeline.kd.methods._base import KDBatch, Widths
from pipeline.kd.settings import BalancedBatch, StudentSettings, TeachSettings
from pipeline.models.initialisation import init_
from pipeline.training.augment import augment
from pipeline.training.loop import anneal_cosine

if TYPE_CHECKING:
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd.data import KDData
    from pipeline.kd.methods._base import KDMethod, Kept
    from pipeline.models.model import NetworkPlugin
    from pipeline.models.towers import Towers


class Student(nn.Module):
    """One tower and a linear classifier."""

    def __init__(self, towers: Towers, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        (self.width,) = towers.features.values()
        self.towers, self.classifier = towers, nn.Linear(self.width, classes)
        init_(self.classifier, generator)

    def forward(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised rows of one modality -> features [N, D] and logits [N, C]."""
        (features,) = self.towers.embed(rows).values()
        return {"features": features, "logits": self.classifier(features)}


class KDStep(nn.Module):
    """A pupil, what its method trains beside it, and the loss of both."""

    def __init__(
        self, pupil: Student, parts: nn.ModuleDict, method: KDMethod, weight: float
    ) -> None:
        super().__init__()
        self.pupil, self.parts, self.method, self.weight = pupil, parts, method, weight

    def forward(
        self, rows: Mapping[str, Tensor], target: Tensor, batch: Callable[..., KDBatch]
    ) -> tuple[Tensor, Kept]:
        """The loss, and what memory banks remember.

        Args:
            batch: everything that the method is given but the student's outputs and the target.
        """
        outputs = self.pupil(rows)
        term = self.method.term(self.parts, batch(**outputs, target=target))
        loss = F.cross_entropy(outputs["logits"], target) + self.weight * term.student
        return loss if term.own is None else loss + term.own, term.kept


@dataclass(frozen=True, kw_only=True)
class KDRun:
    """A method in a classroom; students of one name start alike and see the same batches, whatever the method.

    Args:
        name: counters that name the student; `fraction`: of the steps, after which it ends.
    """

    room: KDData
    settings: TeachSettings
    student: StudentSettings
    network: NetworkPlugin
    method: KDMethod
    weight: float
    rate: float
    name: tuple[int | str, ...]
    fraction: float = 1.0

    def count_steps(self, fraction: float) -> int:
        """Steps after which that fraction is done, at least one."""
        return max(round(fraction * self.settings.steps), 1)

    def build_student(self) -> Student:
        """As it comes."""
        generator = make_generator("teach", *self.name, "weights")
        return Student(
            self.network.build(self.room.data.shapes, generator), self.room.data.classes, generator
        )

    def train(
        self, machine: Runtime, looks: Mapping[int, Callable[[Student], None]] | None = None
    ) -> Student:
        """The student at the end.

        Args:
            looks: after so many steps, who looks at it.

        Raises:
            DivergedError: the loss is no finite number.
        """
        pupil, data = self.build_student(), self.room.data
        wide = {m: vectors.shape[1] for m, vectors in self.room.teachers.items()}
        widths = Widths(student=pupil.width, teachers=wide, classes=data.classes, label=data.label)
        parts = self.method.build(widths, make_generator("teach", *self.name, "parts"))
        lesson = KDStep(pupil, parts, self.method, self.weight)
        leaves = {**dict(lesson.named_parameters()), **dict(lesson.named_buffers())}
        given, stop = self.settings, self.count_steps(self.fraction)
        rates = dict.fromkeys(leaves, self.rate)
        descent = SyntheticOptimizer(
            leaves,
            rates,
            given.momentum,
            machine,
            lambda done: anneal_cosine(done * stop / given.steps),
            given.weight_decay,
        )
        lesson.to(machine.device)

        def take_step(step: int) -> float:
            loss, kept = functional_call(
                lesson, descent.params, self._build_batch(step, machine.device)
            )
            value = descent.step([loss])
            if not math.isfinite(value):
                raise DivergedError(
                    f"a student's loss is {value} at step {step}; lower teach.highest, or the weights of the method"
                )
            with torch.no_grad():
                for name, (index, values) in kept.items():
                    descent.params[f"parts.{name}"][index] = values
            if looks and step + 1 in looks:
                looks[step + 1](_load_weights(pupil, descent.params))
            return value

        descent.run(stop, take_step)
        return _load_weights(pupil, descent.params)

    def _build_batch(
        self, step: int, device: torch.device
    ) -> tuple[dict[str, Tensor], Tensor, Callable[..., KDBatch]]:
        """A step's rows, targets and everything else; all of it follows from the step's number."""
        data, room = self.room.data, self.room
        index = draw_balanced_batch(
            data.label, self.settings.batch, make_generator("teach", *self.name, step, "batch")
        )
        numbers = make_generator("teach", *self.name, step, "augment")
        taken = {m: values.to(device) for m, values in data.take(index).items()}
        rows = {
            m: augment(values, self.student.augment, data.normalisation[m].fill, numbers)
            for m, values in taken.items()
        }
        label = data.label[index].to(device)
        target = data.soft[room.modality][index].to(device) if data.soft else label
        batch = partial(
            KDBatch,
            label=label,
            rows=index.to(device),
            teachers={m: vectors[index].to(device) for m, vectors in room.teachers.items()},
            probes={
                m: room.probes[m].logits(vectors[index]).to(device)
                for m, vectors in room.teachers.items()
            },
            epoch=step * len(index) // len(data.label),
            generator=make_generator("teach", *self.name, step, "method"),
        )
        return rows, target, batch


def draw_balanced_batch(label: Tensor, batch: BalancedBatch, generator: torch.Generator) -> Tensor:
    """Numbers of a step's rows, class by class: int64 [classes x samples]."""
    classes = label.bincount().nonzero().flatten()
    rows = []
    for number in classes[torch.randperm(len(classes), generator=generator)[: batch.classes]]:
        own = (label == number).nonzero().flatten()
        order = own[torch.randperm(len(own), generator=generator)]
        rows.append(order.repeat(math.ceil(batch.samples / len(own)))[: batch.samples])
    return torch.cat(rows)


def _load_weights(pupil: Student, leaves: Mapping[str, Tensor]) -> Student:
    """The pupil with its weights among the leaves."""
    own = {
        name.removeprefix("pupil."): values.detach()
        for name, values in leaves.items()
        if name.startswith("pupil.")
    }
    pupil.load_state_dict(own)
    return pupil
