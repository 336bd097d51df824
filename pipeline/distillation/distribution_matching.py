"""Distribution matching: optimise synthetic rows until their embeddings match those of real rows.

Methods bring their own loss and networks, see methods/_distribution.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import CellError
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.distillation.device_cache import DeviceCache
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.training import formation
from pipeline.training.augment import augment

if TYPE_CHECKING:
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import AudioVisual

# Device -> pixels per forward pass: so many classes are embedded at once. This bounds memory and
# changes a loss by float noise (4e-8). A CPU gains nothing from larger passes; a GPU needs them to
# be busy, and splits them where its memory ends.
PASS_PIXELS = {"cpu": 2**17, "cuda": 2**28}


@dataclass(frozen=True, kw_only=True)
class MatchingPlan:
    """How the synthetic rows are optimised.

    Args:
        steps: steps of SGD.
        batch_real: real samples per class and step, without replacement; a smaller class gives all.
        rates: modality -> step size, for a loss that is summed over feature dimensions.
        momentum: of SGD.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        operations: modality -> augmentations; one is drawn per step, with one draw for real and
            synthetic rows and for sound and picture.
    """

    steps: int
    batch_real: int
    rates: Mapping[str, float]
    momentum: float
    schedule: Callable[[float], float]
    operations: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    """Embeddings of some classes, class by class.

    Args:
        features: modality -> float32 [N, D].
        sizes: rows of each class, in the order of `labels`; their sum is N.
        labels: the classes.
        head: the network's classifiers, if they were trained.
    """

    features: Mapping[str, Tensor]
    sizes: tuple[int, ...]
    labels: tuple[int, ...]
    head: nn.Module

    def means(self) -> dict[str, Tensor]:
        """Return the class means, [classes, D] by modality."""
        return {m: class_means(values, self.sizes) for m, values in self.features.items()}

    def split_by_class(self, modality: str) -> tuple[Tensor, ...]:
        """Return the features [n, D] of each class.

        Args:
            modality: which features.
        """
        return torch.split(self.features[modality], list(self.sizes))

    def rescale(self, modality: str, scale: Tensor) -> Tensor:
        """Return the features [N, D], divided by a number per class.

        Args:
            modality: which features.
            scale: the divisors, [classes].
        """
        sizes = torch.tensor(self.sizes, device=scale.device)
        return self.features[modality] / scale.repeat_interleave(sizes)[:, None]

    def cross_entropy(self) -> Tensor:
        """Return each class's mean cross-entropy, summed over the head's outputs, [classes]."""
        return torch.stack(
            [
                self._class_means(F.cross_entropy(logits, label, reduction="none"))
                for logits, label in self._compute_outputs()
            ]
        ).sum(0)

    def accuracy(self) -> Tensor:
        """Return each class's accuracy, averaged over the head's outputs, [classes]."""
        return torch.stack(
            [
                self._class_means((logits.argmax(1) == label).float())
                for logits, label in self._compute_outputs()
            ]
        ).mean(0)

    def _compute_outputs(self) -> list[tuple[Tensor, Tensor]]:
        """Return (logits [N, classes], label [N]) of each output."""
        logits: dict[str, Tensor] = self.head(self.features)
        label = torch.tensor(self.labels).repeat_interleave(torch.tensor(self.sizes))
        return [(values, label.to(values.device)) for values in logits.values()]

    def _class_means(self, values: Tensor) -> Tensor:
        return class_means(values[:, None], self.sizes)[:, 0]


# (real, synthetic, rng) -> the loss, summed over the classes; rng(name) is a generator of the step.
Loss = Callable[[FeatureBatch, FeatureBatch, Callable[[str], torch.Generator]], Tensor]


def class_means(values: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the mean row of each class, [classes, D].

    Args:
        values: rows [N, D], class by class.
        sizes: rows of each class.

    Example:
        class_means(torch.tensor([[1.0], [3.0], [5.0]]), (2, 1))  # [[2.0], [5.0]]
    """
    if len(set(sizes)) == 1:
        return values.reshape(len(sizes), sizes[0], -1).mean(1)
    return torch.stack([part.mean(0) for part in torch.split(values, list(sizes))])


def match(
    real: RealSet,
    start: SyntheticSet,
    loss: Loss,
    sampler: NetworkSampler,
    plan: MatchingPlan,
    *,
    seed: int,
    runtime: Runtime,
) -> DistillResult:
    """Optimise the rows of a synthetic set by distribution matching.

    Classes are embedded several at a time and their gradients are added, then all rows take one
    step, as in DM. The authors of AVDD step class by class on one tensor. With momentum 0.5 and
    one network per step, both move a class by about twice the step size times its gradient.

    Args:
        real: the training split.
        start: the set to start from.
        loss: a distance of embeddings that is a sum over classes.
        sampler: the network of each step.
        plan: how the rows are optimised.
        seed: names the draws of samples, augmentations and of the loss.
        runtime: the device, checkpoint and ranks.

    Example:
        result = match(real, start, distiller.loss, sampler, plan, seed=0, runtime=runtime)
        result.synthetic.rows["frame"]  # float32 [N, T, 3, H, W]
    """
    rates = {m: pick(plan.rates, m, "rate") for m in start.rows}
    optimizer = SyntheticOptimizer(start.rows, rates, plan.momentum, runtime, plan.schedule)
    matcher = _DistributionMatcher(
        real, start, loss, sampler, plan, seed, runtime, optimizer.params
    )
    optimizer.run(plan.steps, lambda step: matcher.run_step(step, optimizer))
    return optimizer.result(start)


class _DistributionMatcher:
    """Computes the losses of a step, a group of classes at a time."""

    def __init__(
        self,
        real: RealSet,
        start: SyntheticSet,
        loss: Loss,
        sampler: NetworkSampler,
        plan: MatchingPlan,
        seed: int,
        runtime: Runtime,
        rows: Mapping[str, Tensor],
    ) -> None:
        self._real, self._start, self._rows = real, start, rows
        self._loss, self._sampler, self._plan = loss, sampler, plan
        self._seed, self._runtime = seed, runtime
        self._cache = DeviceCache(real, runtime)
        self._members = [real.indices_of(label) for label in range(len(real.classes))]
        self._next_batch: tuple[int, list[Tensor]] = (-1, [])
        share = len(runtime.ranks.share(self._members))
        fitting = self._count_classes_per_pass(PASS_PIXELS[runtime.device.type])
        self._group_size = max(min(fitting, share), 1)

    def run_step(self, step: int, optimizer: SyntheticOptimizer) -> float:
        """Take one step; after out of memory try again, with half as many classes at once.

        A failed attempt changes nothing: gradients are reset, and rows move after all classes.
        """
        while True:
            try:
                return optimizer.step(self._compute_losses(step))
            except torch.OutOfMemoryError as error:
                if self._group_size == 1:
                    raise CellError(
                        f"one class of {self._max_class_size()} instances does not fit into the "
                        f"device's memory ({error}); "
                        "lower batch_real, or the pieces of the formation"
                    ) from error
                self._group_size //= 2
                optimizer.figures["out of memory, classes at once"] = self._group_size

    def _compute_losses(self, step: int) -> Iterator[Tensor]:
        module, draws = self._sampler.sample(step), self._draw_batch(step)
        labels = self._runtime.ranks.share(range(len(draws)))
        for first in range(0, len(labels), self._group_size):
            group = labels[first : first + self._group_size]
            yield self._loss(
                self._embed_real(module, [draws[label] for label in group], group, step),
                self._embed_synthetic(module, group, step),
                partial(make_generator, self._seed, step),
            )
        # The device is busy now: draw the next step's samples meanwhile.
        self._next_batch = step + 1, self._draw_batch(step + 1)

    def _draw_batch(self, step: int) -> list[Tensor]:
        """Return the rows of the real samples of each class."""
        if self._next_batch[0] == step:
            return self._next_batch[1]
        generator = make_generator("batch", self._seed, step)
        return [
            index[torch.randperm(len(index), generator=generator)[: self._plan.batch_real]]
            for index in self._members
        ]

    @torch.no_grad()
    def _embed_real(
        self, module: AudioVisual, draws: list[Tensor], labels: list[int], step: int
    ) -> FeatureBatch:
        rows = self._cache.gather(torch.cat(draws))
        rows = {m: self._augment(values, m, self._real, step) for m, values in rows.items()}
        return FeatureBatch(
            features=self._embed(module, rows),
            sizes=tuple(len(draw) for draw in draws),
            labels=tuple(labels),
            head=module.head,
        )

    def _embed_synthetic(self, module: AudioVisual, labels: list[int], step: int) -> FeatureBatch:
        start, rows = self._start, {}
        index = torch.cat(
            [torch.arange(label * start.ipc, (label + 1) * start.ipc) for label in labels]
        )
        for m, values in self._rows.items():
            # Without waiting: so few numbers are copied before the call returns.
            stored = values[index.to(values.device, non_blocking=True)]
            rows[m] = self._augment(formation.split(stored, start.formation[m]), m, start, step)
        pieces = formation.count_pieces(start.formation)
        features = {
            # From piece by piece to class by class; a repeated piece is embedded once.
            m: formation.repeat_pieces(f, start.formation[m], pieces)
            .reshape(pieces, len(labels), -1)
            .transpose(0, 1)
            .reshape(-1, f.shape[1])
            for m, f in self._embed(module, rows).items()
        }
        return FeatureBatch(
            features=features,
            sizes=(pieces * start.ipc,) * len(labels),
            labels=tuple(labels),
            head=module.head,
        )

    def _embed(self, module: AudioVisual, rows: dict[str, Tensor]) -> dict[str, Tensor]:
        kind = self._runtime.device.type
        # Only the towers run in bfloat16: the loss needs more exact arithmetic on their features.
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            return {m: values.float() for m, values in module.towers.embed(rows).items()}

    def _augment(
        self, values: Tensor, modality: str, data: RealSet | SyntheticSet, step: int
    ) -> Tensor:
        operations = pick(self._plan.operations, modality, "list of augmentations")
        # A new generator of one name each time: all sides and modalities get the same draw.
        generator = make_generator("augment", self._seed, step)
        return augment(values, operations, data.normalisation[modality].fill, generator)

    def _max_class_size(self) -> int:
        largest = max(min(len(index), self._plan.batch_real) for index in self._members)
        return max(largest, self._start.ipc * formation.count_pieces(self._start.formation))

    def _count_classes_per_pass(self, pixels: int) -> int:
        """Return how many classes hold about so many pixels of their larger modality."""
        each = max(torch.Size(shape).numel() for shape in self._real.shapes.values())
        return max(pixels // (each * self._max_class_size()), 1)
