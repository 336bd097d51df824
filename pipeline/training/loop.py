"""The supervised loop, and forward passes over a real set.

Extractors, experts, students and the full-data upper bound all train with it.
"""

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

# Rows per forward pass without gradients; limits memory, changes no result.
PASS = 64


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained on its head's loss.

    Args:
        steps: number of steps.
        batch: rows per batch.
        rates: modality -> learning rate of its tower.
        head_rates: modality -> learning rate of the outputs that use it.
        weight_decay: of the optimiser.
        schedule: fraction of the steps done, 0..1 -> factor on every rate.
        stops: modality -> fraction of the steps after which its rates are 0 (early stopping).
        operations: modality -> augmentations, one of them drawn per batch and modality.
        momentum: of SGD; None uses Adam.
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
        """Return the steps of a fraction of the training, at least one.

        Args:
            fraction: from 0 to 1.
        """
        return max(round(fraction * self.steps), 1)

    def stop_after(self, fraction: float) -> Recipe:
        """Return the recipe with an early stop for every modality.

        Args:
            fraction: of the steps after which all rates are 0.
        """
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
        """Return a recipe of Adam with one learning rate that falls to 0 as a cosine.

        Args:
            rate: learning rate of all towers and outputs.
            operations: modality -> augmentations.
            steps: number of steps.
            batch: rows per batch.
            weight_decay: of Adam.
        """
        rates = dict.fromkeys(operations, rate)
        return cls(
            steps=steps,
            batch=batch,
            rates=rates,
            head_rates=rates,
            weight_decay=weight_decay,
            schedule=anneal_cosine,
            stops=dict.fromkeys(operations, 1.0),
            operations=operations,
        )


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Steps after which a callback reads the model.

    Args:
        steps: counted from 1.
        callback: called with the step; the model may be in evaluation mode afterwards.
    """

    steps: Collection[int] = ()
    callback: Callable[[int], None] = lambda step: None


def ignore_progress(done: int, total: int, **figures: float) -> None:
    """Report nothing.

    Args:
        done: steps that are done.
        total: all steps.
        figures: name -> number, e.g. the loss.
    """


def fit(
    module: AudioVisual,
    data: Instances,
    recipe: Recipe,
    generator: torch.Generator,
    device: torch.device,
    report: Callable[..., None] = ignore_progress,
    snapshots: Snapshots = Snapshots(),
) -> None:
    """Train a model in place.

    Args:
        module: the model.
        data: its training instances.
        recipe: how it is trained.
        generator: draws batches and augmentations.
        device: where the model is.
        report: called with (done, total, loss=...) after each step.
        snapshots: read the model on the way.
    """
    optimiser = _build_optimiser(dict(module.named_parameters()), recipe)
    batches = _iterate_batches(data, generator, recipe, device)
    module.train()
    for step in range(recipe.steps):
        rows, *labels = next(batches)
        loss = module.head.loss(module(rows), *labels)  # type: ignore[operator]
        _set_rates(optimiser, recipe, step)
        _take_step(optimiser, loss)
        report(step + 1, recipe.steps, loss=loss.item())
        if step + 1 in snapshots.steps:
            snapshots.callback(step + 1)
            module.train()


def fit_stacked(
    modules: Sequence[AudioVisual],
    data: Sequence[Instances],
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    device: torch.device,
    report: Callable[..., None] = ignore_progress,
    snapshots: Snapshots = Snapshots(),
) -> None:
    """Train several models of one form at once, with their weights stacked.

    This keeps a GPU busy with small networks: there a step is recorded once for each size of batch,
    and replayed. A model ends where `fit` would have taken it, up to float noise.

    Args:
        modules: the models.
        data: the instances of each, all of one size.
        recipe: how they are trained.
        generators: of each model, draws its batches and augmentations.
        device: where the models are.
        report: called with (done, total, loss=...) after each step; the loss is the mean.
        snapshots: read the models on the way.
    """
    parameters, _ = stack_module_state(list(modules))
    optimiser = _build_optimiser(parameters, recipe)
    pairs = zip(data, generators, strict=True)
    batches = [_iterate_batches(*pair, recipe, device) for pair in pairs]
    train_step = _make_stacked_step(modules[0].train(), parameters, optimiser, data[0])
    if _can_record(recipe, device):
        train_step = GraphReplay(train_step)
    for step in range(recipe.steps):
        rows, label, soft = zip(*(next(batch) for batch in batches), strict=True)
        _set_rates(optimiser, recipe, step)
        inputs = {**_stack("rows.", rows), **_stack("soft.", soft), "label": torch.stack(label)}
        report(step + 1, recipe.steps, loss=train_step(inputs).item())
        if step + 1 in snapshots.steps:
            _unstack(modules, parameters)
            snapshots.callback(step + 1)
            modules[0].train()
    _unstack(modules, parameters)


def _make_stacked_step(
    module: AudioVisual,
    parameters: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    data: Instances,
) -> Callable[[dict[str, Tensor]], Tensor]:
    """Return a step of stacked models: stacked inputs by name -> the mean loss.

    Args:
        module: one of the models; lends its form.
        parameters: stacked weights, changed by the step.
        optimiser: of these weights.
        data: the instances of one model; name the modalities.
    """

    def compute_loss(
        weights: dict[str, Tensor], rows: dict[str, Tensor], label: Tensor, soft: dict[str, Tensor]
    ) -> Tensor:
        outputs = functional_call(module, weights, (rows,))
        loss: Tensor = module.head.loss(outputs, label, soft)  # type: ignore[operator]
        return loss

    def train_step(inputs: dict[str, Tensor]) -> Tensor:
        rows = {m: inputs[f"rows.{m}"] for m in data.shapes}
        soft = {m: inputs[f"soft.{m}"] for m in data.soft}
        losses = vmap(compute_loss)(parameters, rows, inputs["label"], soft)
        _take_step(optimiser, losses.sum())
        return losses.detach().mean()

    return train_step


def _stack(prefix: str, inputs: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {prefix + name: torch.stack([each[name] for each in inputs]) for name in inputs[0]}


def _unstack(modules: Sequence[AudioVisual], parameters: Mapping[str, Tensor]) -> None:
    for number, module in enumerate(modules):
        module.load_state_dict(
            {name: values[number].detach() for name, values in parameters.items()}
        )


def predict(
    module: AudioVisual, real: RealSet, using: Mapping[str, Normalisation], device: torch.device
) -> dict[str, Tensor]:
    """Return class probabilities float32 [N, classes] per output for every sample.

    Args:
        module: a trained model whose outputs are logits.
        real: the set.
        using: modality -> normalisation of the training data.
        device: where the model is.
    """
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
    """Apply a function to every sample of a real set, without gradients.

    Args:
        module: set to evaluation mode first.
        function: normalised rows -> named tensors [n, ...]; the module, or a part of it.
        real: the set.
        using: modality -> normalisation of its rows.
        device: where the module is.

    Returns:
        The function's tensors for all samples [N, ...], on the CPU.
    """
    module.eval()
    outputs = []
    for first in range(0, len(real), PASS):
        rows = {
            m: values.to(device)
            for m, values in real.normalise(slice(first, first + PASS), using).items()
        }
        outputs.append({name: values.cpu() for name, values in function(rows).items()})
    return {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]}


def anneal_cosine(done: float) -> float:
    """Return the factor of a cosine schedule, which falls from 1 to 0.

    Args:
        done: fraction of the steps that is done, 0..1.
    """
    return 0.5 * (1 + math.cos(math.pi * done))


def keep_constant(done: float) -> float:
    """Return the factor of a constant schedule, 1.

    Args:
        done: fraction of the steps that is done, 0..1.
    """
    return 1.0


def _build_optimiser(parameters: Mapping[str, Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """Build an optimiser with a group per learning rate and stop."""
    groups: dict[tuple[float, int], list[Tensor]] = {}
    for name, values in parameters.items():
        rates = recipe.rates if name.startswith("towers.") else recipe.head_rates
        modality = modality_of(name)
        rate, stop = pick(rates, modality, "learning rate"), recipe.stops[modality]
        groups.setdefault((rate, recipe.count_steps(stop)), []).append(values)
    recorded = _can_record(recipe, next(iter(parameters.values())).device)
    options = [
        # A recorded step reads a changed rate only from a tensor on the device.
        {
            "params": values,
            "lr": torch.tensor(rate, device=values[0].device) if recorded else rate,
            "peak": rate,
            "stop": stop,
        }
        for (rate, stop), values in groups.items()
    ]
    # Fused: one call per step instead of a dozen per parameter. During those calls no other
    # student's thread could run Python.
    decay = recipe.weight_decay
    if recipe.momentum is None:
        return torch.optim.Adam(options, weight_decay=decay, fused=True, capturable=recorded)
    return torch.optim.SGD(options, momentum=recipe.momentum, weight_decay=decay, fused=True)


def _can_record(recipe: Recipe, device: torch.device) -> bool:
    """Return whether steps can be recorded: on a GPU, with Adam, whose state stays there."""
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
    data: Instances, generator: torch.Generator, recipe: Recipe, device: torch.device
) -> Iterator[tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]]:
    """Yield batches of augmented rows, labels and soft labels, endlessly.

    Each epoch is shuffled, and its last batch may be smaller.
    """
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
