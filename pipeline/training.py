"""The one supervised loop: extractors, students and the ceiling train with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline import formation
from pipeline.augment import augment
from pipeline.plugins import pick

if TYPE_CHECKING:
    from pipeline.networks._towers import AudioVisual
    from pipeline.records import Normalisation, RealSet, SyntheticSet

# Rows per forward pass without gradients; bounds memory, changes no result.
PASS = 64


class Network(Protocol):
    """A network plugin: shapes and classes -> a module with towers."""

    def build(self, shapes: Mapping[str, tuple[int, ...]], classes: int, generator: torch.Generator) -> AudioVisual: ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained: Adam on the sum of the modalities' cross-entropies.

    Args:
        rates: learning rate of each modality's tower; `head_rates`: of its head.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        operations: modality -> augmentations, one of them drawn per batch and modality.
    """

    steps: int
    batch: int
    rates: Mapping[str, float]
    head_rates: Mapping[str, float]
    weight_decay: float
    schedule: Callable[[float], float]
    operations: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Labelled training instances: `take` gives normalised rows at an index, `label` is int64 [N]."""

    take: Callable[[Tensor], dict[str, Tensor]]
    label: Tensor
    classes: int
    shapes: Mapping[str, tuple[int, ...]]
    normalisation: Mapping[str, Normalisation]


def whole(real: RealSet) -> Instances:
    """Every sample of a real set."""
    return Instances(
        take=real.normalised,
        label=real.label,
        classes=len(real.classes),
        shapes=real.shapes,
        normalisation=real.normalisation,
    )


def decoded(synthetic: SyntheticSet) -> Instances:
    """The training instances that a synthetic set's formation holds."""
    rows = {m: formation.split(values, synthetic.formation[m]) for m, values in synthetic.rows.items()}
    return Instances(
        take=lambda index: {m: values[index] for m, values in rows.items()},
        label=synthetic.label.repeat(formation.pieces(synthetic.formation)),
        classes=len(synthetic.classes),
        shapes={m: tuple(values.shape[1:]) for m, values in rows.items()},
        normalisation=synthetic.normalisation,
    )


def silent(done: int, total: int, **figures: float) -> None:
    """A report that says nothing."""


def fit(
    module: AudioVisual,
    data: Instances,
    recipe: Recipe,
    generator: torch.Generator,
    device: torch.device,
    report: Callable[..., None] = silent,
) -> None:
    """Train the module in place; batches and augmentations are drawn from the generator."""
    groups = [
        {"params": list(part.parameters()), "lr": rate, "peak": rate}
        for parts, rates in ((module.towers, recipe.rates), (module.heads, recipe.head_rates))
        for part, rate in ((parts[modality], pick(rates, modality, "learning rate")) for modality in parts)
    ]
    optimiser = torch.optim.Adam(groups, weight_decay=recipe.weight_decay)
    operations = {modality: pick(recipe.operations, modality, "list of augmentations") for modality in module.towers}
    batches = _batches(len(data.label), recipe.batch, generator)
    module.train()
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * recipe.schedule(step / recipe.steps)
        index = next(batches)
        label = data.label[index].to(device)
        rows = {
            modality: augment(values, operations[modality], data.normalisation[modality].fill, generator).to(device)
            for modality, values in data.take(index).items()
        }
        loss = sum((F.cross_entropy(logits, label) for logits in module(rows).values()), start=torch.zeros((), device=device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        report(step + 1, recipe.steps, loss=loss.item())


def predict(module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device) -> dict[str, Tensor]:
    """Class probabilities [N, C] per modality on every sample of a real set, normalised as the training data were."""
    return {m: logits.softmax(1) for m, logits in _applied(module, module, real, using, device).items()}


def embed(module: AudioVisual, real: RealSet, device: torch.device) -> dict[str, Tensor]:
    """Features [N, D] per modality of every sample of a real set."""
    return _applied(module, module.embed, real, real.normalisation, device)


def cosine(done: float) -> float:
    """From 1 to 0 over the course of training."""
    return 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def _applied(
    module: AudioVisual,
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    real: RealSet,
    using: Mapping[str, Normalisation],
    device: torch.device,
) -> dict[str, Tensor]:
    module.eval()
    passes = []
    for first in range(0, len(real), PASS):
        rows = {m: values.to(device) for m, values in real.normalised(slice(first, first + PASS), using).items()}
        passes.append({m: values.cpu() for m, values in function(rows).items()})
    return {modality: torch.cat([part[modality] for part in passes]) for modality in real.rows}


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Epochs of shuffled batches without end; the last batch of an epoch may be smaller."""
    while True:
        yield from torch.split(torch.randperm(count, generator=generator), batch)
