"""Trajectory matching: optimise synthetic rows until a student follows an expert's trajectory.

The derivation of the gradient, and what is left out of it, is in methods/mtt.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from pipeline.core.errors import CellError
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.models.kernels.cpu import disable_kernels
from pipeline.models.model import modality_of
from pipeline.training import formation
from pipeline.training.augment import augment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.optimise import SyntheticOptimizer
    from pipeline.training.augment import Operation
    from pipeline.training.bank import ExpertBank

# Prefix of the parameters that hold the logarithms of the student's learning rates, by modality.
RATE = "rate."

# Parameter -> values.
Weights = Mapping[str, Tensor]


class TrajectorySettings(Protocol):
    """The parameters of the method that the matcher reads, see methods/mtt.py."""

    @property
    def inner(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def ahead(self) -> int: ...
    @property
    def max_start(self) -> int: ...
    @property
    def augment(self) -> Mapping[str, tuple[Operation, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class SyntheticBatch:
    """The training instances of one inner step.

    Args:
        index: the stored rows that the instances are pieces of, each once, int64 [R].
        stored: modality -> these rows [R, ...].
        rows: modality -> the instances [N, ...], decoded and augmented, as functions of `stored`.
        label: int64 [N].
    """

    index: Tensor
    stored: Mapping[str, Tensor]
    rows: Mapping[str, Tensor]
    label: Tensor


class TrajectoryMatcher:
    """Trains the student of each step and differentiates its distance from the expert.

    All draws are named by counters, so that the student can be trained a second time.

    Args:
        settings: the method's parameters.
        bank: the experts.
        real: the training split.
        start: the synthetic set that the rows belong to.
        seed: names all draws.
        runtime: the device.

    Raises:
        CellError: the bank was trained on other data, or for too few epochs.
    """

    def __init__(
        self,
        settings: TrajectorySettings,
        bank: ExpertBank,
        real: RealSet,
        start: SyntheticSet,
        seed: int,
        runtime: Runtime,
    ) -> None:
        self._settings, self._bank, self._start = settings, bank, start
        self._seed, self._device = seed, runtime.device
        self._module = bank.build_empty_model(real, runtime.device)
        self._modality = {name: modality_of(name) for name, _ in self._module.named_parameters()}
        needed = settings.max_start + settings.ahead
        if bank.epochs < needed:
            raise CellError(
                f"the experts have {bank.epochs} epochs, and max_start {settings.max_start} + "
                f"ahead {settings.ahead} are {needed}; lower these in distill.mtt, "
                "or raise experts.epochs and run `avdistill experts` again"
            )

    def run_step(self, step: int, optimizer: SyntheticOptimizer) -> float:
        """Take one step of the rows and rates, and return the loss before it.

        Args:
            step: number of the step.
            optimizer: holds the rows and, under RATE, the logarithms of the student's rates.

        Raises:
            CellError: a batch does not fit into the device's memory.
        """
        try:
            loss, gradients = self.gradients(optimizer.params, step)
        except torch.OutOfMemoryError as error:
            raise CellError(
                f"a batch of {self._settings.batch} instances does not fit into the device's "
                f"memory ({error}); lower distill.mtt.batch"
            ) from error
        # A scalar with this loss as its value and these gradients as its derivatives.
        terms = [
            ((values - values.detach()) * gradients[name]).sum()
            for name, values in optimizer.params.items()
        ]
        return optimizer.step([loss + torch.stack(terms).sum()])

    def gradients(self, params: Weights, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a step, and its gradient by each parameter.

        Args:
            params: rows by modality, and the logarithms of the rates under RATE + modality.
            step: number of the step.
        """
        rows = {m: params[m].detach() for m in self._start.rows}
        rates = {m: params[RATE + m].detach().exp() for m in rows}
        first, target = self._draw_segment(step)
        last = first
        for batch in self.iterate_batches(rows, step):
            last = self._apply_step(last, self._weight_gradients(last, batch), rates)
        segment, error = _subtract(first, target), _subtract(last, target)
        # 1 / D_m, see methods/mtt.py.
        scale = {
            m: 1 / (len(rows) * length)
            for m, length in self._inner_products(segment, segment).items()
        }
        cotangent = {
            name: -2 * rates[m] * scale[m] * error[name] for name, m in self._modality.items()
        }
        moves = self._inner_products(error, _subtract(last, first))
        gradients = {RATE + m: 2 * scale[m] * product for m, product in moves.items()}
        gradients |= self._accumulate_vjps(rows, rates, first, cotangent, step)
        distances = self._inner_products(error, error)
        return torch.stack([scale[m] * x for m, x in distances.items()]).sum(), gradients

    def iterate_batches(self, rows: Mapping[str, Tensor], step: int) -> Iterator[SyntheticBatch]:
        """Yield the batches of the inner steps: epochs of shuffled instances.

        The last batch of an epoch may be smaller.

        Args:
            rows: stored rows by modality.
            step: number of the step.
        """
        batches = islice(self._shuffle_indices(step), self._settings.inner)
        for number, instance in enumerate(batches):
            # Instance = piece x stored rows + row.
            row, piece = instance % len(self._start.label), instance // len(self._start.label)
            index, position = torch.unique(row, return_inverse=True)
            chosen = (piece * len(index) + position).to(self._device)
            index = index.to(self._device)
            stored = {m: values[index].requires_grad_() for m, values in rows.items()}
            yield SyntheticBatch(
                index=index,
                stored=stored,
                rows={
                    m: self._augment(values, m, chosen, (step, number))
                    for m, values in stored.items()
                },
                label=self._start.label[row].to(self._device),
            )

    def _shuffle_indices(self, step: int) -> Iterator[Tensor]:
        generator = make_generator("batch", self._seed, step)
        count = len(self._start.label) * formation.count_pieces(self._start.formation)
        while True:
            yield from torch.split(torch.randperm(count, generator=generator), self._settings.batch)

    def _augment(
        self, stored: Tensor, modality: str, chosen: Tensor, counters: tuple[int, int]
    ) -> Tensor:
        operations = pick(self._settings.augment, modality, "list of augmentations")
        grids = self._start.formation
        instances = formation.split(stored, grids[modality], formation.count_pieces(grids))[chosen]
        # Sound and picture have separate draws, as in the training of the experts.
        generator = make_generator("augment", self._seed, *counters, modality)
        return augment(instances, operations, self._start.normalisation[modality].fill, generator)

    def _draw_segment(self, step: int) -> tuple[Weights, Weights]:
        """Return an expert's weights at an epoch, and `ahead` epochs later."""
        generator = make_generator("trajectory", self._seed, step)
        expert = int(torch.randint(len(self._bank.trajectories), (), generator=generator))
        epoch = int(torch.randint(self._settings.max_start + 1, (), generator=generator))
        states = [
            self._bank.state_after(expert, at) for at in (epoch, epoch + self._settings.ahead)
        ]
        first, target = (
            {name: state[name].to(self._device) for name in self._modality} for state in states
        )
        return first, target

    def _weight_gradients(
        self, weights: Weights, batch: SyntheticBatch, differentiable: bool = False
    ) -> Weights:
        """Return the gradient of the head's loss by the weights, with its graph if asked."""
        params = {name: values.detach().requires_grad_() for name, values in weights.items()}
        with disable_kernels(differentiable):
            outputs = functional_call(self._module, params, (batch.rows,))
            loss = self._module.head.loss(outputs, batch.label)  # type: ignore[operator]
        gradients = torch.autograd.grad(loss, list(params.values()), create_graph=differentiable)
        return dict(zip(params, gradients, strict=True))

    def _apply_step(
        self, weights: Weights, gradients: Weights, rates: Mapping[str, Tensor]
    ) -> Weights:
        return {
            name: values - rates[self._modality[name]] * gradients[name]
            for name, values in weights.items()
        }

    def _accumulate_vjps(
        self,
        rows: Mapping[str, Tensor],
        rates: Mapping[str, Tensor],
        weights: Weights,
        cotangent: Weights,
        step: int,
    ) -> dict[str, Tensor]:
        """Train the student again, and sum d(cotangent . g_i) / d rows over the inner steps."""
        total = {m: torch.zeros_like(values) for m, values in rows.items()}
        for batch in self.iterate_batches(rows, step):
            gradients, vjp = self._compute_vjp(weights, batch, cotangent)
            for m, values in vjp.items():
                total[m].index_add_(0, batch.index, values)
            weights = self._apply_step(weights, gradients, rates)
        return total

    def _compute_vjp(
        self, weights: Weights, batch: SyntheticBatch, cotangent: Weights
    ) -> tuple[Weights, dict[str, Tensor]]:
        """Return one inner step's gradients g, and d(cotangent . g) / d stored, without graphs."""
        gradients = self._weight_gradients(weights, batch, differentiable=True)
        vjp = torch.autograd.grad(
            list(gradients.values()),
            list(batch.stored.values()),
            [cotangent[name] for name in gradients],
        )
        detached = {name: values.detach() for name, values in gradients.items()}
        return detached, dict(zip(batch.stored, vjp, strict=True))

    def _inner_products(self, one: Weights, other: Weights) -> dict[str, Tensor]:
        """Return the inner product of two sets of weights, per modality."""
        terms = {name: one[name].mul(other[name]).sum() for name in self._modality}
        owners = self._modality.items()
        return {
            m: torch.stack([terms[name] for name, owner in owners if owner == m]).sum()
            for m in self._start.rows
        }


def _subtract(one: Weights, other: Weights) -> Weights:
    return {name: values - other[name] for name, values in one.items()}
