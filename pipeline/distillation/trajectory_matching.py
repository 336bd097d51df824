"""TODO from pipeline/distillers/mtt.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.func import functional_call

from pipeline.core.errors import CellError
from pipeline.core.plugins import pick
from pipeline.core.rng import make_generator
from pipeline.distillation.optimise import SyntheticOptimizer
from pipeline.models.kernels.cpu import disable_kernels
from pipeline.models.model import modality_of
from pipeline.training import formation
from pipeline.training.augment import Operation, augment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.training.bank import ExpertBank

# A leaf's name before its modality: the logarithm of the rate of the student's steps.
RATE = "rate."


# Parameter -> values.
Weights = dict[str, Tensor]


class TrajectorySettings(Protocol):
    """The values of the method that the matcher needs, see `methods/mtt.py`."""

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
        stored: numbers of the stored rows that the instances are pieces of, each once; `parts`: those rows, by modality.
        seen: the instances, decoded and augmented as the student sees them, with the graph that leads back to `parts`.
    """

    stored: Tensor
    parts: Mapping[str, Tensor]
    seen: Mapping[str, Tensor]
    label: Tensor


class TrajectoryMatcher:
    """The student of each step, who walks after an expert; where he goes follows from counters, so that it can be repeated."""

    def __init__(
        self,
        settings: TrajectorySettings,
        bank: ExpertBank,
        real: RealSet,
        start: SyntheticSet,
        seed: int,
        runtime: Runtime,
    ) -> None:
        self._settings, self._bank, self._start, self._seed, self._device = (
            settings,
            bank,
            start,
            seed,
            runtime.device,
        )
        self._module = bank.build_empty_model(real, runtime.device)
        self._owner = {name: modality_of(name) for name, _ in self._module.named_parameters()}
        needed = settings.max_start + settings.ahead
        if bank.epochs < needed:
            raise CellError(
                f"the experts have {bank.epochs} epochs, and max_start {settings.max_start} + ahead {settings.ahead} are {needed}; "
                "lower these in distill.mtt, or raise experts.epochs and run `avdistill experts` again"
            )

    def run_step(self, step: int, optimizer: SyntheticOptimizer) -> float:
        """One step of the descent; a batch that the device has no memory for is a CellError."""
        try:
            loss, gradients = self.gradients(optimizer.params, step)
        except torch.OutOfMemoryError as error:
            told = f"a batch of {self._settings.batch} instances does not fit into the device's memory ({error})"
            raise CellError(f"{told}; lower distill.mtt.batch") from error
        # Worth the loss, and sloped like it.
        slopes = [
            ((values - values.detach()) * gradients[name]).sum()
            for name, values in optimizer.params.items()
        ]
        return optimizer.step([loss + torch.stack(slopes).sum()])

    def gradients(
        self, params: Mapping[str, Tensor], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss at a step, and its derivative by each leaf, in the leaf's shape."""
        rows = {m: params[m].detach() for m in self._start.rows}
        rates = {m: params[RATE + m].detach().exp() for m in rows}
        first, goal = self._draw_segment(step)
        last = first
        for batch in self.iterate_batches(rows, step):
            last = self._apply_step(last, self._weight_gradients(last, batch), rates)
        whole, miss, way = _subtract(first, goal), _subtract(last, goal), _subtract(last, first)
        # Each modality's share of the mean, 1 / D_m.
        share = {
            m: 1 / (len(rows) * length) for m, length in self._inner_products(whole, whole).items()
        }
        pull = {name: -2 * rates[m] * share[m] * miss[name] for name, m in self._owner.items()}
        found = {
            RATE + m: 2 * share[m] * product
            for m, product in self._inner_products(miss, way).items()
        }
        found |= self._accumulate_vjps(rows, rates, first, pull, step)
        return torch.stack(
            [share[m] * product for m, product in self._inner_products(miss, miss).items()]
        ).sum(), found

    def iterate_batches(self, rows: Mapping[str, Tensor], step: int) -> Iterator[SyntheticBatch]:
        """Those of the inner steps, in epochs of shuffled instances; an epoch's last may be smaller."""
        for number, index in enumerate(islice(self._shuffle_indices(step), self._settings.inner)):
            # Instance = piece x stored rows + row.
            row, piece = index % len(self._start.label), index // len(self._start.label)
            stored, place = torch.unique(row, return_inverse=True)
            chosen = (piece * len(stored) + place).to(self._device)
            parts = {
                m: values[stored.to(self._device)].requires_grad_() for m, values in rows.items()
            }
            yield SyntheticBatch(
                stored=stored.to(self._device),
                parts=parts,
                seen={
                    m: self._augment(values, m, chosen, (step, number))
                    for m, values in parts.items()
                },
                label=self._start.label[row].to(self._device),
            )

    def _shuffle_indices(self, step: int) -> Iterator[Tensor]:
        generator = make_generator("batch", self._seed, step)
        count = len(self._start.label) * formation.count_pieces(self._start.formation)
        while True:
            yield from torch.split(torch.randperm(count, generator=generator), self._settings.batch)

    def _augment(
        self, parts: Tensor, modality: str, chosen: Tensor, counters: tuple[int, int]
    ) -> Tensor:
        operations = pick(self._settings.augment, modality, "list of augmentations")
        grids = self._start.formation
        instances = formation.split(parts, grids[modality], formation.count_pieces(grids))[chosen]
        # Sound and picture have draws of their own, as when the experts were trained.
        numbers = make_generator("augment", self._seed, *counters, modality)
        return augment(instances, operations, self._start.normalisation[modality].fill, numbers)

    def _draw_segment(self, step: int) -> tuple[Weights, Weights]:
        """An expert's weights at an epoch, and `ahead` epochs later."""
        generator = make_generator("trajectory", self._seed, step)
        expert = int(torch.randint(len(self._bank.courses), (), generator=generator))
        epoch = int(torch.randint(self._settings.max_start + 1, (), generator=generator))
        states = [self._bank.state(expert, at) for at in (epoch, epoch + self._settings.ahead)]
        first, goal = (
            {name: state[name].to(self._device) for name in self._owner} for state in states
        )
        return first, goal

    def _weight_gradients(
        self, weights: Weights, batch: SyntheticBatch, graph: bool = False
    ) -> Weights:
        """The gradient of the head's loss by the weights; with a graph of its own, if asked."""
        own = {name: values.detach().requires_grad_() for name, values in weights.items()}
        with disable_kernels(graph):
            loss = self._module.head.loss(
                functional_call(self._module, own, (batch.seen,)), batch.label
            )  # type: ignore[operator]
        return dict(
            zip(own, torch.autograd.grad(loss, list(own.values()), create_graph=graph), strict=True)
        )

    def _apply_step(
        self, weights: Weights, slopes: Weights, rates: Mapping[str, Tensor]
    ) -> Weights:
        return {
            name: values - rates[self._owner[name]] * slopes[name]
            for name, values in weights.items()
        }

    def _accumulate_vjps(
        self,
        rows: Mapping[str, Tensor],
        rates: Mapping[str, Tensor],
        weights: Weights,
        pull: Weights,
        step: int,
    ) -> dict[str, Tensor]:
        """The second walk: per modality the sum over inner steps of d(pull . g_i) / d rows."""
        total = {m: torch.zeros_like(values) for m, values in rows.items()}
        for batch in self.iterate_batches(rows, step):
            slopes, found = self._compute_vjp(weights, batch, pull)
            for m, values in found.items():
                total[m].index_add_(0, batch.stored, values)
            weights = self._apply_step(weights, slopes, rates)
        return total

    def _compute_vjp(
        self, weights: Weights, batch: SyntheticBatch, pull: Weights
    ) -> tuple[Weights, dict[str, Tensor]]:
        """One inner step's slopes, and d(pull . slopes) / d parts; the graph between them ends with this call."""
        slopes = self._weight_gradients(weights, batch, graph=True)
        found = torch.autograd.grad(
            list(slopes.values()), list(batch.parts.values()), [pull[name] for name in slopes]
        )
        return {name: values.detach() for name, values in slopes.items()}, dict(
            zip(batch.parts, found, strict=True)
        )

    def _inner_products(self, one: Weights, other: Weights) -> dict[str, Tensor]:
        """Inner products over the flat vector of each modality's weights."""
        terms = {name: one[name].mul(other[name]).sum() for name in self._owner}
        return {
            m: torch.stack([terms[name] for name, own in self._owner.items() if own == m]).sum()
            for m in self._start.rows
        }


def _subtract(one: Weights, other: Weights) -> Weights:
    return {name: values - other[name] for name, values in one.items()}
