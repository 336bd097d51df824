"""The engine of gradient matching: move synthetic rows until they teach a network what the real ones teach it.

Zhao, Mopuri and Bilen, Dataset Condensation with Gradient Matching, ICLR 2021 (DC), here for any number of modalities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.core.errors import CellError
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.distillation.device_cache import DeviceCache
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.models import model
from pipeline.models.heads.ensemble import Head
from pipeline.models.initialisation import init_
from pipeline.models.kernels.cpu import disable_kernels
from pipeline.training import formation, instances, loop
from pipeline.training.augment import augment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import AudioVisual, NetworkPlugin

# Added to the product of two norms, as published; that of a random ConvNet's units is 0.02 and more.
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class GradientMatchingPlan:
    """How the rows and the networks between them move.

    Args:
        steps: networks, each with fresh weights.
        outer: steps of the rows on each network; `inner`: epochs on the rows that the network is trained for between two of them.
        batch_real: real samples per class and step, without replacement (all of a smaller class).
        rates: step size per modality, for SGD with `momentum` on the distance summed over classes and layers.
        batch_net, rate_net: instances per step of the network, and its step size, of plain SGD.
        operations: modality -> augmentations; one is drawn per step of the rows, the same for real and synthetic, sound and
            picture, and one per modality and step of the network.
    """

    steps: int
    outer: int
    inner: int
    batch_real: int
    rates: Mapping[str, float]
    momentum: float
    batch_net: int
    rate_net: float
    operations: Mapping[str, tuple[str, ...]]

    def make_recipe(self, instances: int) -> loop.Recipe:
        """`inner` epochs over so many instances."""
        even = dict.fromkeys(self.operations, self.rate_net)
        return loop.Recipe(
            steps=self.inner * -(-instances // self.batch_net),
            batch=self.batch_net,
            rates=even,
            head_rates=even,
            weight_decay=0.0,
            schedule=loop.constant,
            stops=dict.fromkeys(self.operations, 1.0),
            operations=self.operations,
            momentum=0.0,
        )


def distance(real: Sequence[Tensor], synthetic: Sequence[Tensor]) -> Tensor:
    """Sum over layers of sum over output units of 1 - cos(gradient of the real, of the synthetic batch), a scalar.

    Args:
        real, synthetic: one gradient [units, ...] per layer; a convolution's is read as [out, in x k x k].
    """
    return torch.stack(
        [
            _layer_distance(theirs.flatten(1), ours.flatten(1))
            for theirs, ours in zip(real, synthetic, strict=True)
        ]
    ).sum()


def _layer_distance(real: Tensor, synthetic: Tensor) -> Tensor:
    # This norm's slope at zero is zero; that of a root of a sum of squares would be infinite.
    norms: Tensor = torch.linalg.vector_norm(real, dim=1) * torch.linalg.vector_norm(
        synthetic, dim=1
    )
    return (1 - (real * synthetic).sum(1) / (norms + EPSILON)).sum()


def gradients(
    module: AudioVisual, rows: Mapping[str, Tensor], label: Tensor, *, differentiable: bool = False
) -> list[Tensor]:
    """Of the head's loss by each weight of more than one dimension: biases and norms are no part of the distance.

    Args:
        rows: normalised instances [N, ...] per modality; `label`: int64 [N].
        differentiable: keep the graph, so that the gradients have gradients by the rows.
    """
    weights = [values for values in module.parameters() if values.ndim > 1]
    with disable_kernels(differentiable):
        loss = module.head.loss(module(rows), label)  # type: ignore[operator]
    return list(torch.autograd.grad(loss, weights, create_graph=differentiable))


def condense(
    network: NetworkPlugin,
    real: RealSet,
    start: SyntheticSet,
    plan: GradientMatchingPlan,
    *,
    seed: int,
    runtime: Runtime,
) -> DistillResult:
    """Take `plan.outer` steps from `start` on each of `plan.steps` networks; the loss of one is its mean over them.

    Everything that an iteration draws is named by its number, so a descent that goes on ends in the same bits.

    Raises:
        CellError: a class does not fit into the device's memory; see `Descent.run` for more.
    """
    rates = {m: pick(plan.rates, m, "rate") for m in start.rows}
    optimizer = SyntheticOptimizer(start.rows, rates, plan.momentum, runtime)
    condenser = _GradientMatcher(network, real, start, plan, seed, runtime, optimizer.params)
    optimizer.run(plan.steps, lambda iteration: condenser.run_step(iteration, optimizer))
    return optimizer.result(start)


class _GradientMatcher:
    """The distances of an iteration, class by class: a graph of second order lives for one class only."""

    def __init__(
        self,
        network: NetworkPlugin,
        real: RealSet,
        start: SyntheticSet,
        plan: GradientMatchingPlan,
        seed: int,
        runtime: Runtime,
        rows: Mapping[str, Tensor],
    ) -> None:
        self._real, self._start, self._plan, self._seed, self._runtime, self._rows = (
            real,
            start,
            plan,
            seed,
            runtime,
            rows,
        )
        self._cache = DeviceCache(real, runtime)
        self._members = [real.indices_of(label) for label in range(len(real.classes))]
        self._operations = {
            m: pick(plan.operations, m, "list of augmentations") for m in start.rows
        }
        towers = network.build(real.shapes, make_generator("network", seed))
        head = Head().build(towers.features, len(real.classes), make_generator("network", seed))
        self._module = model.AudioVisual(towers, head).to(runtime.device).train()

    def run_step(self, iteration: int, optimizer: SyntheticOptimizer) -> float:
        """Fresh weights, then steps of the rows with epochs of the network between them; the mean loss of the steps."""
        # The classifiers' too, as in DC: with their own tiny ones, N(0, 1e-4), the towers' gradients would vanish beside EPSILON.
        init_(self._module, make_generator("network", self._seed, iteration))
        try:
            total = optimizer.step(self._compute_losses(iteration, 0))
            for outer in range(1, self._plan.outer):
                self._learn(iteration, outer)
                total += optimizer.step(self._compute_losses(iteration, outer))
        except torch.OutOfMemoryError as error:
            told = f"one class, or a batch of the network, does not fit into the device's memory ({error})"
            raise CellError(
                f"{told}; lower batch_real or batch_net, or the pieces of the formation"
            ) from error
        return total / self._plan.outer

    def _compute_losses(self, iteration: int, outer: int) -> Iterator[Tensor]:
        generator = make_generator("batch", self._seed, iteration, outer)
        draws = [
            index[torch.randperm(len(index), generator=generator)[: self._plan.batch_real]]
            for index in self._members
        ]
        for label, index in enumerate(draws):
            theirs, ours = self._cache.gather(index), self._decode(label)
            yield distance(
                self._compute_gradients(theirs, self._real, label, iteration, outer),
                self._compute_gradients(
                    ours, self._start, label, iteration, outer, differentiable=True
                ),
            )

    def _decode(self, label: int) -> dict[str, Tensor]:
        """The training instances of one class, as functions of the rows."""
        ipc, grids = self._start.ipc, self._start.formation
        count = formation.count_pieces(grids)
        return {
            m: formation.split(values[label * ipc : (label + 1) * ipc], grids[m], count)
            for m, values in self._rows.items()
        }

    def _compute_gradients(
        self,
        rows: Mapping[str, Tensor],
        data: RealSet | SyntheticSet,
        label: int,
        iteration: int,
        outer: int,
        differentiable: bool = False,
    ) -> list[Tensor]:
        # A new stream of the same name at each call: real and synthetic, sound and picture, all classes see the same draw.
        seen = {
            m: augment(
                values,
                self._operations[m],
                data.normalisation[m].fill,
                make_generator("augment", self._seed, iteration, outer),
            )
            for m, values in rows.items()
        }
        labels = torch.full((len(next(iter(rows.values()))),), label, device=self._runtime.device)
        return gradients(self._module, seen, labels, differentiable=differentiable)

    def _learn(self, iteration: int, outer: int) -> None:
        """Train the network on the rows as they are now."""
        now = replace(self._start, rows={m: values.detach() for m, values in self._rows.items()})
        data = instances.decode_synthetic_set(now, self._runtime.device)
        recipe = self._plan.make_recipe(len(data.label))
        loop.fit(
            self._module,
            data,
            recipe,
            make_generator("inner", self._seed, iteration, outer),
            self._runtime.device,
        )
