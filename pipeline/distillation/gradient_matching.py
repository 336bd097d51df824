"""Gradient matching: optimise synthetic rows until they train a network as real rows do.

Zhao, Mopuri and Bilen, Dataset Condensation with Gradient Matching, ICLR 2021 (DC), here for any
number of modalities.
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

# Added to the product of two norms, as published; the norms of a random ConvNet's units are 0.02
# and more.
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class GradientMatchingPlan:
    """How the synthetic rows are optimised, and the networks trained in between.

    Args:
        steps: networks, each with new random weights.
        outer: steps of the rows on each network.
        inner: epochs that the network is trained for on the rows, between two of their steps.
        batch_real: real samples per class and step, without replacement; a smaller class gives all.
        rates: modality -> step size, for the distance summed over classes and layers.
        momentum: of the SGD on the rows.
        batch_net: instances per step of the network.
        rate_net: step size of the network, of plain SGD.
        operations: modality -> augmentations. One is drawn per step of the rows, with one draw for
            real and synthetic rows and for sound and picture; and one per modality and step of
            the network.
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
        """Return the recipe of the network's training: `inner` epochs.

        Args:
            instances: training instances per epoch.
        """
        rates = dict.fromkeys(self.operations, self.rate_net)
        return loop.Recipe(
            steps=self.inner * -(-instances // self.batch_net),
            batch=self.batch_net,
            rates=rates,
            head_rates=rates,
            weight_decay=0.0,
            schedule=loop.keep_constant,
            stops=dict.fromkeys(self.operations, 1.0),
            operations=self.operations,
            momentum=0.0,
        )


def distance(real: Sequence[Tensor], synthetic: Sequence[Tensor]) -> Tensor:
    """Return the distance of two gradients: 1 - cos, summed over layers and output units.

    Args:
        real: one gradient [units, ...] per layer; a convolution's is read as [out, in x k x k].
        synthetic: the same of the synthetic rows.

    Example:
        distance([torch.eye(2)], [torch.eye(2)])  # 0, up to EPSILON
    """
    pairs = zip(real, synthetic, strict=True)
    return torch.stack([_layer_distance(x.flatten(1), y.flatten(1)) for x, y in pairs]).sum()


def _layer_distance(real: Tensor, synthetic: Tensor) -> Tensor:
    # The derivative of vector_norm at zero is zero; of a root of squares it would be infinite.
    norms: Tensor = torch.linalg.vector_norm(real, dim=1) * torch.linalg.vector_norm(
        synthetic, dim=1
    )
    return (1 - (real * synthetic).sum(1) / (norms + EPSILON)).sum()


def gradients(
    module: AudioVisual, rows: Mapping[str, Tensor], label: Tensor, *, differentiable: bool = False
) -> list[Tensor]:
    """Return the gradients of the head's loss with respect to each weight.

    Only weights of two dimensions or more count: biases and norms are no part of the distance.

    Args:
        module: the network.
        rows: modality -> normalised instances [N, ...].
        label: int64 [N].
        differentiable: keep the graph, so that the gradients can be differentiated by the rows.

    Example:
        real = gradients(module, {"frame": frames, "logmel": logmels}, label)
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
    """Optimise the rows of a synthetic set by gradient matching.

    The loss of a network is the mean over its `plan.outer` steps. All draws are named by the number
    of the network, so a resumed run gives the same bits.

    Args:
        network: the architecture.
        real: the training split.
        start: the set to start from.
        plan: how the rows are optimised.
        seed: names all draws.
        runtime: the device and the checkpoint.

    Raises:
        CellError: a class does not fit into the device's memory; `SyntheticOptimizer.run` has more.

    Example:
        result = condense(network, real, start, plan, seed=0, runtime=runtime)
    """
    rates = {m: pick(plan.rates, m, "rate") for m in start.rows}
    optimizer = SyntheticOptimizer(start.rows, rates, plan.momentum, runtime)
    matcher = _GradientMatcher(network, real, start, plan, seed, runtime, optimizer.params)
    optimizer.run(plan.steps, lambda iteration: matcher.run_step(iteration, optimizer))
    return optimizer.result(start)


class _GradientMatcher:
    """Computes distances class by class: only one class has a graph of second order at a time."""

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
        self._real, self._start, self._rows = real, start, rows
        self._plan, self._seed, self._device = plan, seed, runtime.device
        self._cache = DeviceCache(real, runtime)
        self._members = [real.indices_of(label) for label in range(len(real.classes))]
        self._operations = {
            m: pick(plan.operations, m, "list of augmentations") for m in start.rows
        }
        towers = network.build(real.shapes, make_generator("network", seed))
        head = Head().build(towers.features, len(real.classes), make_generator("network", seed))
        self._module = model.AudioVisual(towers, head).to(runtime.device).train()

    def run_step(self, iteration: int, optimizer: SyntheticOptimizer) -> float:
        """Draw new weights, then alternate steps of the rows and epochs of the network."""
        # Classifiers are drawn too, as in DC. With their usual start, N(0, 1e-4), the gradients of
        # the towers would be too small beside EPSILON.
        init_(self._module, make_generator("network", self._seed, iteration))
        try:
            total = optimizer.step(self._compute_losses(iteration, 0))
            for outer in range(1, self._plan.outer):
                self._train_network(iteration, outer)
                total += optimizer.step(self._compute_losses(iteration, outer))
        except torch.OutOfMemoryError as error:
            raise CellError(
                "one class, or a batch of the network, does not fit into the device's memory "
                f"({error}); lower batch_real or batch_net, or the pieces of the formation"
            ) from error
        return total / self._plan.outer

    def _compute_losses(self, iteration: int, outer: int) -> Iterator[Tensor]:
        generator = make_generator("batch", self._seed, iteration, outer)
        draws = [
            index[torch.randperm(len(index), generator=generator)[: self._plan.batch_real]]
            for index in self._members
        ]
        for label, index in enumerate(draws):
            real, synthetic = self._cache.gather(index), self._decode(label)
            yield distance(
                self._compute_gradients(real, self._real, label, iteration, outer),
                self._compute_gradients(
                    synthetic, self._start, label, iteration, outer, differentiable=True
                ),
            )

    def _decode(self, label: int) -> dict[str, Tensor]:
        """Return the training instances of one class, as functions of the rows."""
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
        # A new generator of one name each time: all sides, modalities and classes get one draw.
        augmented = {
            m: augment(
                values,
                self._operations[m],
                data.normalisation[m].fill,
                make_generator("augment", self._seed, iteration, outer),
            )
            for m, values in rows.items()
        }
        labels = torch.full((len(next(iter(rows.values()))),), label, device=self._device)
        return gradients(self._module, augmented, labels, differentiable=differentiable)

    def _train_network(self, iteration: int, outer: int) -> None:
        """Train the network on the current rows."""
        rows = {m: values.detach() for m, values in self._rows.items()}
        data = instances.decode_synthetic_set(replace(self._start, rows=rows), self._device)
        recipe = self._plan.make_recipe(len(data.label))
        generator = make_generator("inner", self._seed, iteration, outer)
        loop.fit(self._module, data, recipe, generator, self._device)
