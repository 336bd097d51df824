"""The engine of distribution matching: move synthetic rows until random networks see the same class statistics in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline import formation
from pipeline.augment import augment
from pipeline.errors import CellError
from pipeline.plugins import pick
from pipeline.streams import stream

if TYPE_CHECKING:
    from pipeline.networks._towers import Towers
    from pipeline.records import RealSet, SyntheticSet
    from pipeline.training import Network

# Class means, [classes, D] per modality.
Means = dict[str, Tensor]
# Pixels per forward pass, by device: classes are taken together up to this many, which bounds memory and changes a loss by
# float noise (4e-8). A CPU gains nothing from larger passes; a GPU needs them to be busy.
PASS_PIXELS = {"cpu": 2**17, "cuda": 2**22}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the rows move.

    Args:
        batch_real: real samples per class and step, without replacement (all of a smaller class).
        rates: step size per modality, for SGD with `momentum` on a loss that is summed over feature dimensions.
        operations: modality -> augmentations; one is drawn per step, the same for real and synthetic, sound and picture.
    """

    steps: int
    batch_real: int
    rates: Mapping[str, float]
    momentum: float
    operations: Mapping[str, tuple[str, ...]]


def match(
    real: RealSet,
    start: SyntheticSet,
    loss: Callable[[Means, Means], Tensor],
    network: Network,
    plan: Plan,
    *,
    seed: int,
    device: torch.device,
    report: Callable[..., None],
) -> SyntheticSet:
    """Take `plan.steps` steps from `start` down `loss(real means, synthetic means)`, a fresh network at each.

    The loss must be a sum over classes: classes are embedded several at a time and their gradients added, then all rows take
    one step, as in DM. The authors of AVDD step class by class on one tensor; with momentum 0.5 and one network per step both
    move a class by about twice the step size times its gradient.
    """
    rows = {m: values.to(device).clone().requires_grad_() for m, values in start.rows.items()}
    groups = [{"params": [values], "lr": pick(plan.rates, m, "rate")} for m, values in rows.items()]
    optimiser = torch.optim.SGD(groups, momentum=plan.momentum)
    module = network.build(real.shapes, stream("network", seed)).to(device).requires_grad_(False)
    members = [real.of_class(label) for label in range(len(real.classes))]
    for step in range(plan.steps):
        module.initialise(stream("network", seed, step))
        draws = _draw(members, plan.batch_real, stream("batch", seed, step))
        optimiser.zero_grad()
        total = 0.0
        for labels in _passes(draws, real, start, PASS_PIXELS[device.type]):
            means = _real_means(module, real, [draws[label] for label in labels], plan, seed, step, device)
            value = loss(means, _synthetic_means(module, rows, start, labels, plan, seed, step))
            value.backward()  # type: ignore[no-untyped-call]
            total += value.item()
        if not torch.tensor(total).isfinite():
            raise CellError(
                f"the loss is {total} at step {step}; check the real set for NaN, or lower the rates ({dict(plan.rates)})"
            )
        optimiser.step()
        report(step + 1, plan.steps, loss=total)
    return replace(start, rows={m: values.detach().cpu() for m, values in rows.items()})


def _draw(members: list[Tensor], count: int, generator: torch.Generator) -> list[Tensor]:
    return [index[torch.randperm(len(index), generator=generator)[:count]] for index in members]


def _passes(draws: list[Tensor], real: RealSet, start: SyntheticSet, most: int) -> list[list[int]]:
    """Class labels, grouped so that a group's instances hold about `most` pixels of the larger modality."""
    pixels = max(torch.Size(shape).numel() for shape in real.shapes.values())
    instances = max(max(len(draw) for draw in draws), start.ipc * formation.pieces(start.formation))
    together = max(most // (pixels * instances), 1)
    labels = list(range(len(draws)))
    return [labels[first : first + together] for first in range(0, len(labels), together)]


@torch.no_grad()
def _real_means(
    module: Towers, real: RealSet, draws: list[Tensor], plan: Plan, seed: int, step: int, device: torch.device
) -> Means:
    rows = real.normalised(torch.cat(draws))
    seen = {m: _augmented(values.to(device), m, real, plan, seed, step) for m, values in rows.items()}
    sizes = [len(draw) for draw in draws]
    return {m: torch.stack([part.mean(0) for part in torch.split(f, sizes)]) for m, f in module.embed(seen).items()}


def _synthetic_means(
    module: Towers, rows: Mapping[str, Tensor], start: SyntheticSet, labels: list[int], plan: Plan, seed: int, step: int
) -> Means:
    first, last = labels[0] * start.ipc, (labels[-1] + 1) * start.ipc
    instances = {m: formation.split(values[first:last], start.formation[m]) for m, values in rows.items()}
    seen = {m: _augmented(values, m, start, plan, seed, step) for m, values in instances.items()}
    return {m: f.reshape(-1, len(labels), start.ipc, f.shape[1]).mean((0, 2)) for m, f in module.embed(seen).items()}


def _augmented(values: Tensor, modality: str, data: RealSet | SyntheticSet, plan: Plan, seed: int, step: int) -> Tensor:
    # A new stream of the same name at each call: real and synthetic, sound and picture all see the same draw.
    generator = stream("augment", seed, step)
    return augment(values, pick(plan.operations, modality, "list of augmentations"), data.normalisation[modality].fill, generator)
