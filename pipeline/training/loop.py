"""The one supervised loop: extractors, students and the ceiling train with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from pipeline.core.plugins import pick
from pipeline.models.kernels.cuda.replay import GraphReplay
from pipeline.models.model import AudioVisual, modality_of
from pipeline.training.augment import augment
from pipeline.training.instances import Instances

if TYPE_CHECKING:
    from pipeline.core.records import Normalisation, RealSet

# Rows per forward pass without gradients; bounds memory, changes no result.
PASS = 64


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained on its head's loss.

    Args:
        rates: learning rate of each modality's tower; `head_rates`: of the outputs that see it.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        momentum: of SGD; None takes Adam.
        stops: fraction of the steps after which a modality's rates are 0 (early stopping).
        operations: modality -> augmentations, one of them drawn per batch and modality.
    """

    steps: int
    batch: int
    rates: Mapping[str, float]
    head_rates: Mapping[str, float]
    weight_decay: float
    schedule: Callable[[float], float]
    stops: Mapping[str, float]
    operations: Mapping[str, tuple[str, ...]]
    momentum: float | None = None

    def count_steps(self, fraction: float) -> int:
        """Steps after which that fraction is done, at least one."""
        return max(round(fraction * self.steps), 1)

    def stop_after(self, fraction: float) -> Recipe:
        """The same, ended after that fraction of the steps."""
        return replace(self, stops=dict.fromkeys(self.rates, fraction))

    @classmethod
    def build_uniform(
        cls,
        rate: float,
        operations: Mapping[str, tuple[str, ...]],
        *,
        steps: int,
        batch: int,
        weight_decay: float,
    ) -> Recipe:
        """One learning rate everywhere, falling to 0 as a cosine."""
        rates = dict.fromkeys(operations, rate)
        return cls(
            steps=steps,
            batch=batch,
            rates=rates,
            head_rates=rates,
            weight_decay=weight_decay,
            schedule=cosine,
            stops=dict.fromkeys(operations, 1.0),
            operations=operations,
        )


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Steps at which a training course is looked at, and who looks."""

    steps: Collection[int] = ()
    look: Callable[[int], None] = lambda step: None


def ignore_progress(done: int, total: int, **figures: float) -> None:
    """A report that says nothing."""


def fit(
    module: AudioVisual,
    data: Instances,
    recipe: Recipe,
    generator: torch.Generator,
    device: torch.device,
    report: Callable[..., None] = ignore_progress,
    marks: Snapshots = Snapshots(),
) -> None:
    """Train the module in place; batches and augmentations are drawn from the generator."""
    optimiser = _build_optimiser(dict(module.named_parameters()), recipe)
    batches = _iterate_batches(data, recipe, generator, device)
    module.train()
    for step in range(recipe.steps):
        rows, *labels = next(batches)
        loss = module.head.loss(module(rows), *labels)  # type: ignore[operator]
        _set_rates(optimiser, recipe, step)
        _take_step(optimiser, loss)
        report(step + 1, recipe.steps, loss=loss.item())
        if step + 1 in marks.steps:
            marks.look(step + 1)
            module.train()


def fit_stacked(
    modules: Sequence[AudioVisual],
    data: Sequence[Instances],
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    device: torch.device,
    report: Callable[..., None] = ignore_progress,
    marks: Snapshots = Snapshots(),
) -> None:
    """`fit` for several modules of one form at once, their weights stacked: what keeps a GPU busy with small networks.

    There a step is recorded once for each size of batch, and replayed. Each module has its own instances, as many as the others,
    and its own generator; it ends where `fit` would have taken it, up to float noise.
    """
    base = modules[0].train()
    parameters, _ = stack_module_state(list(modules))
    optimiser = _build_optimiser(parameters, recipe)
    batches = [
        _iterate_batches(own, recipe, generator, device)
        for own, generator in zip(data, generators, strict=True)
    ]

    def loss_of(
        weights: dict[str, Tensor], rows: dict[str, Tensor], label: Tensor, soft: dict[str, Tensor]
    ) -> Tensor:
        loss: Tensor = base.head.loss(functional_call(base, weights, (rows,)), label, soft)  # type: ignore[operator]
        return loss

    def train_step(given: dict[str, Tensor]) -> Tensor:
        rows, soft = (
            {m: given[kind + m] for m in names}
            for kind, names in (("rows.", data[0].shapes), ("soft.", data[0].soft))
        )
        losses = vmap(loss_of)(parameters, rows, given["label"], soft)
        _take_step(optimiser, losses.sum())
        return losses.detach().mean()

    moved = GraphReplay(train_step) if _can_record(recipe, device) else train_step
    for step in range(recipe.steps):
        rows, label, soft = zip(*(next(batch) for batch in batches), strict=True)
        _set_rates(optimiser, recipe, step)
        given = {
            "label": torch.stack(label),
            **_stack_inputs("rows.", rows),
            **_stack_inputs("soft.", soft),
        }
        report(step + 1, recipe.steps, loss=moved(given).item())
        if step + 1 in marks.steps:
            _unstack(modules, parameters)
            marks.look(step + 1)
            base.train()
    _unstack(modules, parameters)


def _stack_inputs(kind: str, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {kind + name: torch.stack([part[name] for part in parts]) for name in parts[0]}


def _unstack(modules: Sequence[AudioVisual], parameters: Mapping[str, Tensor]) -> None:
    for number, module in enumerate(modules):
        module.load_state_dict(
            {name: values[number].detach() for name, values in parameters.items()}
        )


def predict(
    module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device
) -> dict[str, Tensor]:
    """Class probabilities [N, C] per output on every sample of a real set, normalised as the training data were."""
    return {
        name: logits.softmax(1)
        for name, logits in apply_in_batches(module, module, real, using, device).items()
    }


@torch.no_grad()
def apply_in_batches(
    module: nn.Module,
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    real: RealSet,
    using: Mapping[str, Normalisation],
    device: torch.device,
) -> dict[str, Tensor]:
    """What the function, a part of the module, makes of every sample of a real set."""
    module.eval()
    passes = []
    for first in range(0, len(real), PASS):
        rows = {
            m: values.to(device)
            for m, values in real.normalise(slice(first, first + PASS), using).items()
        }
        passes.append({name: values.cpu() for name, values in function(rows).items()})
    return {name: torch.cat([part[name] for part in passes]) for name in passes[0]}


def cosine(done: float) -> float:
    """From 1 to 0 over the course of training."""
    return 0.5 * (1 + math.cos(math.pi * done))


def constant(done: float) -> float:
    """The same rate throughout."""
    return 1.0


def _build_optimiser(parameters: Mapping[str, Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """With a group per learning rate and stop."""
    groups: dict[tuple[float, int], list[Tensor]] = {}
    for name, values in parameters.items():
        rates = recipe.rates if name.startswith("towers.") else recipe.head_rates
        modality = modality_of(name)
        groups.setdefault(
            (pick(rates, modality, "learning rate"), recipe.count_steps(recipe.stops[modality])), []
        ).append(values)
    recorded = _can_record(recipe, next(iter(parameters.values())).device)
    given = [
        # A rate that a recorded step is to read anew each time has to be a number of the device.
        {
            "params": values,
            "lr": torch.tensor(rate, device=values[0].device) if recorded else rate,
            "peak": rate,
            "stop": stop,
        }
        for (rate, stop), values in groups.items()
    ]
    # Fused: one call a step instead of a dozen for each parameter, during which no other student's thread may run Python.
    if recipe.momentum is None:
        return torch.optim.Adam(
            given, weight_decay=recipe.weight_decay, fused=True, capturable=recorded
        )
    return torch.optim.SGD(
        given, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )


def _can_record(recipe: Recipe, device: torch.device) -> bool:
    """Whether steps can be recorded: on a GPU, and by Adam, whose state can stay there."""
    return device.type == "cuda" and recipe.momentum is None


def _set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    for group in optimiser.param_groups:
        rate = group["peak"] * recipe.schedule(step / recipe.steps) if step < group["stop"] else 0.0
        group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], Tensor) else rate


def _take_step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _iterate_batches(
    data: Instances, recipe: Recipe, generator: torch.Generator, device: torch.device
) -> Iterator[tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]]:
    """Augmented rows, labels and soft labels without end, in shuffled batches; the last one of an epoch may be smaller."""
    operations = {
        modality: pick(recipe.operations, modality, "list of augmentations")
        for modality in data.shapes
    }
    while True:
        for index in torch.split(
            torch.randperm(len(data.label), generator=generator), recipe.batch
        ):
            rows = {
                modality: augment(
                    values.to(device),
                    operations[modality],
                    data.normalisation[modality].fill,
                    generator,
                )
                for modality, values in data.take(index).items()
            }
            yield (
                rows,
                data.label[index].to(device),
                {m: values[index].to(device) for m, values in data.soft.items()},
            )
