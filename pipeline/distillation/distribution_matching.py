"""The engine of distribution matching: move synthetic rows until networks see in them what they see in the real ones."""

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

# Pixels per forward pass, by device: classes are taken together up to this many, which bounds memory and changes a loss by
# float noise (4e-8). A CPU gains nothing from larger passes; a GPU needs them to be busy, and where its memory ends they are split.
PASS_PIXELS = {"cpu": 2**17, "cuda": 2**28}


@dataclass(frozen=True, kw_only=True)
class MatchingPlan:
    """How the rows move.

    Args:
        batch_real: real samples per class and step, without replacement (all of a smaller class).
        rates: step size per modality, for SGD with `momentum` on a loss that is summed over feature dimensions.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        operations: modality -> augmentations; one is drawn per step, the same for real and synthetic, sound and picture.
    """

    steps: int
    batch_real: int
    rates: Mapping[str, float]
    momentum: float
    schedule: Callable[[float], float]
    operations: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    """What a network sees of some classes, class by class.

    Args:
        features: modality -> [N, D]; `sizes`: how many of the N are each class's, in the order of `labels`.
        head: the network's classifier, where it has been trained.
    """

    features: Mapping[str, Tensor]
    sizes: tuple[int, ...]
    labels: tuple[int, ...]
    head: nn.Module

    def means(self) -> dict[str, Tensor]:
        """Class means, [classes, D] per modality."""
        return {m: class_means(values, self.sizes) for m, values in self.features.items()}

    def split_by_class(self, modality: str) -> tuple[Tensor, ...]:
        """Features [n, D] of each class."""
        return torch.split(self.features[modality], list(self.sizes))

    def rescale(self, modality: str, scale: Tensor) -> Tensor:
        """Features [N, D], each divided by its class's entry of `scale` [classes]."""
        return (
            self.features[modality]
            / scale.repeat_interleave(torch.tensor(self.sizes, device=scale.device))[:, None]
        )

    def cross_entropy(self) -> Tensor:
        """Cross-entropy of the head's outputs, summed over outputs: the mean of each class's instances, [classes]."""
        return torch.stack(
            [
                self._class_means(F.cross_entropy(z, label, reduction="none"))
                for z, label in self._compute_outputs()
            ]
        ).sum(0)

    def accuracy(self) -> Tensor:
        """The share of each class's instances that the head gets right, the mean over its outputs, [classes]."""
        return torch.stack(
            [
                self._class_means((z.argmax(1) == label).float())
                for z, label in self._compute_outputs()
            ]
        ).mean(0)

    def _compute_outputs(self) -> list[tuple[Tensor, Tensor]]:
        logits: dict[str, Tensor] = self.head(self.features)
        own = torch.tensor(self.labels).repeat_interleave(torch.tensor(self.sizes))
        return [(values, own.to(values.device)) for values in logits.values()]

    def _class_means(self, values: Tensor) -> Tensor:
        return class_means(values[:, None], self.sizes)[:, 0]


# (real, synthetic, streams) -> the loss of these classes, a sum over them; streams(name) is the step's own generator.
Loss = Callable[[FeatureBatch, FeatureBatch, Callable[[str], torch.Generator]], Tensor]


def class_means(values: Tensor, sizes: Sequence[int]) -> Tensor:
    """[N, D], class by class -> the mean of each class, [classes, D]."""
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
    """Take `plan.steps` steps from `start` down `loss(real, synthetic)` in the eyes of the step's network.

    The loss must be a sum over classes: classes are embedded several at a time and their gradients added, then all rows take
    one step, as in DM. The authors of AVDD step class by class on one tensor; with momentum 0.5 and one network per step both
    move a class by about twice the step size times its gradient.
    """
    rates = {m: pick(plan.rates, m, "rate") for m in start.rows}
    optimizer = SyntheticOptimizer(start.rows, rates, plan.momentum, runtime, plan.schedule)
    matcher = _DistributionMatcher(
        real, start, loss, sampler, plan, seed, runtime, optimizer.params
    )
    optimizer.run(plan.steps, lambda step: matcher.run_step(step, optimizer))
    return optimizer.result(start)


class _DistributionMatcher:
    """The losses of a step, a group of classes at a time."""

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
        self._real, self._start, self._loss, self._sampler, self._plan = (
            real,
            start,
            loss,
            sampler,
            plan,
        )
        self._seed, self._runtime, self._rows = seed, runtime, rows
        self._cache = DeviceCache(real, runtime)
        self._members = [real.indices_of(label) for label in range(len(real.classes))]
        self._coming: tuple[int, list[Tensor]] = (-1, [])
        share = len(runtime.ranks.share(self._members))
        self._together = max(
            min(self._count_classes_per_pass(PASS_PIXELS[runtime.device.type]), share), 1
        )

    def run_step(self, step: int, optimizer: SyntheticOptimizer) -> float:
        """One step; where the device has not enough memory for its groups of classes, with smaller groups from here on.

        A failed attempt leaves nothing behind: gradients start at zero again, and leaves move once all classes are seen.
        """
        while True:
            try:
                return optimizer.step(self._compute_losses(step))
            except torch.OutOfMemoryError as error:
                if self._together == 1:
                    raise CellError(
                        f"one class of {self._max_class_size()} instances does not fit into the device's memory ({error}); "
                        "lower batch_real, or the pieces of the formation"
                    ) from error
                self._together //= 2
                optimizer.figures["out of memory, classes at once"] = self._together

    def _compute_losses(self, step: int) -> Iterator[Tensor]:
        module, draws = self._sampler.sample(step), self._draw_batch(step)
        labels = self._runtime.ranks.share(range(len(draws)))
        for first in range(0, len(labels), self._together):
            own = labels[first : first + self._together]
            real = self._embed_real(module, [draws[label] for label in own], own, step)
            yield self._loss(
                real,
                self._embed_synthetic(module, own, step),
                partial(make_generator, self._seed, step),
            )
        # A device is busy with this step now, so that the next one's are ready when it is done.
        self._coming = step + 1, self._draw_batch(step + 1)

    def _draw_batch(self, step: int) -> list[Tensor]:
        """Of each class, which samples are seen."""
        if self._coming[0] == step:
            return self._coming[1]
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
        seen = {m: self._augment(values, m, self._real, step) for m, values in rows.items()}
        sizes = tuple(len(draw) for draw in draws)
        return FeatureBatch(
            features=self._embed(module, seen),
            sizes=sizes,
            labels=tuple(labels),
            head=module.head,
        )

    def _embed_synthetic(self, module: AudioVisual, labels: list[int], step: int) -> FeatureBatch:
        start, seen = self._start, {}
        index = torch.cat(
            [torch.arange(label * start.ipc, (label + 1) * start.ipc) for label in labels]
        )
        for m, values in self._rows.items():
            # Not waited for: a copy of so few numbers is on its way before the call returns.
            own = values[index.to(values.device, non_blocking=True)]
            seen[m] = self._augment(formation.split(own, start.formation[m]), m, start, step)
        pieces = formation.count_pieces(start.formation)
        features = {
            # From piece by piece to class by class; a piece that is repeated is embedded once.
            m: formation.repeat_pieces(f, start.formation[m], pieces)
            .reshape(pieces, len(labels), -1)
            .transpose(0, 1)
            .reshape(-1, f.shape[1])
            for m, f in self._embed(module, seen).items()
        }
        return FeatureBatch(
            features=features,
            sizes=(pieces * start.ipc,) * len(labels),
            labels=tuple(labels),
            head=module.head,
        )

    def _embed(self, module: AudioVisual, rows: dict[str, Tensor]) -> dict[str, Tensor]:
        kind = self._runtime.device.type
        # The towers alone: what a loss makes of their features has to be more exact than bfloat16 is.
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            return {m: values.float() for m, values in module.towers.embed(rows).items()}

    def _augment(
        self, values: Tensor, modality: str, data: RealSet | SyntheticSet, step: int
    ) -> Tensor:
        # A new stream of the same name at each call: real and synthetic, sound and picture all see the same draw.
        operations = pick(self._plan.operations, modality, "list of augmentations")
        return augment(
            values,
            operations,
            data.normalisation[modality].fill,
            make_generator("augment", self._seed, step),
        )

    def _max_class_size(self) -> int:
        largest = max(min(len(index), self._plan.batch_real) for index in self._members)
        return max(largest, self._start.ipc * formation.count_pieces(self._start.formation))

    def _count_classes_per_pass(self, pixels: int) -> int:
        """Classes at a time, so that their instances hold about so many pixels of the larger modality."""
        each = max(torch.Size(shape).numel() for shape in self._real.shapes.values())
        return max(pixels // (each * self._max_class_size()), 1)
