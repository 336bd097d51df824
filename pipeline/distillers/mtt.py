"""MTT, matching training trajectories (Cazenavette et al., CVPR 2022), in the constant memory of TESLA (Cui et al., ICML 2023).

An expert of the bank and an epoch t are drawn. A student starts at the expert's weights w_0 = w*_t and takes N steps of SGD on
batches B_i of the synthetic instances, w_{i+1} = w_i - a_m g_i with g_i = grad CE(w_i; T(D(S))[B_i]), where a_m is the learned rate
of the modality that a weight belongs to, D the formation's decoding and T an augmentation. It should land where the expert was
`ahead` epochs later:

    L = mean over modalities m of |w_N - w*_{t+ahead}|_m^2 / |w*_t - w*_{t+ahead}|_m^2,

with |.|_m over the flat vector of a modality's tower and outputs. As w_N = w_0 - a_m sum_i g_i, and with e = w_N - w*_{t+ahead}
and D_m the denominator times the number of modalities,

    dL/d log a_m = 2 e . (w_N - w_0) / D_m over the weights of m,
    dL/dS = sum over i of d(u . g_i)/dS, u = -2 a_m e / D_m on the weights of m.

u is known once the student has landed. So it walks twice: once for e, and once more with the graph of one step at a time.

Differentiated through: each g_i with respect to the rows in its own batch, and w_N with respect to the rates. Not differentiated
through: the places w_i where the g_i are taken; they depend on earlier steps, by second derivatives that TESLA drops, in rows and
rates alike. For N = 1 there are no earlier steps and the gradient is MTT's.

Cost per step: 2 N forward and backward passes of a batch, and N derivatives of a gradient; memory: that of one batch, whatever N.

Unlike the publications: sound and picture, each with its own rate and its own normalised distance, so that the tower with more
weights or the longer way does not drown the other (an output that sees several modalities belongs to the first in its name);
rates are learned as logarithms, so that they stay positive, and start at the experts' own, without regard to their momentum; no
ZCA; the rows are pieces of a formation. One modality is the mean over one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call

from pipeline import formation
from pipeline.augment import augment
from pipeline.cpu import layer_by_layer
from pipeline.descent import Descent
from pipeline.distillers._optimised import Optimised
from pipeline.errors import CellError
from pipeline.params import Count, Least
from pipeline.plugins import pick
from pipeline.streams import stream
from pipeline.training import modality_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.bank import Bank
    from pipeline.descent import Outcome
    from pipeline.materials import Machine, Materials
    from pipeline.records import RealSet, SyntheticSet
    from pipeline.training import Network

# A leaf's name before its modality: the logarithm of the rate of the student's steps.
RATE = "rate."
# Parameter -> values.
Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Distiller(Optimised):
    """See `Optimised`; `rates` and `momentum` are the rows'.

    Args:
        inner: steps of the student; `batch`: training instances in each, of shuffled epochs of them, or all if there are fewer.
        ahead: epochs of the expert that the student is to cover; `max_start`: the last epoch that it may start from.
        rate_step: step size of the logarithms of the student's rates; 0 leaves them at the experts'.
    """

    inner: Count
    batch: Count
    ahead: Count
    max_start: Count
    rate_step: Least

    def network_of(self, materials: Materials) -> Network:
        """The experts'."""
        return materials.experts("mtt").network

    def distill(self, materials: Materials, *, ipc: int, seed: int, machine: Machine) -> Outcome:
        """Move the start's rows and the student's rates; these end in the set's provenance as `learned_rates`.

        Raises:
            CellError: there is no bank, it is of other data, or its courses are shorter than `max_start` + `ahead`.
        """
        bank, start = materials.experts("mtt"), self.begin(materials, ipc=ipc, seed=seed)
        pursuit = Pursuit(self, bank, materials.real, start, seed, machine)
        rates = {m: pick(self.rates, m, "rate")[0] for m in start.rows}
        logarithms = {RATE + m: torch.tensor(math.log(bank.rate)) for m in start.rows}
        steps = {**rates, **dict.fromkeys(logarithms, self.rate_step)}
        descent = Descent({**start.rows, **logarithms}, steps, self.momentum, machine)
        descent.run(self.steps, lambda step: pursuit.move(step, descent))
        learned = {m: descent.leaves[RATE + m].exp().item() for m in start.rows}
        return descent.outcome(replace(start, provenance={**start.provenance, "learned_rates": learned}))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The training instances of one inner step.

    Args:
        stored: numbers of the stored rows that the instances are pieces of, each once; `parts`: those rows, by modality.
        seen: the instances, decoded and augmented as the student sees them, with the graph that leads back to `parts`.
    """

    stored: Tensor
    parts: Mapping[str, Tensor]
    seen: Mapping[str, Tensor]
    label: Tensor


class Pursuit:
    """The student of each step, who walks after an expert; where he goes follows from counters, so that it can be repeated."""

    def __init__(self, settings: Distiller, bank: Bank, real: RealSet, start: SyntheticSet, seed: int, machine: Machine) -> None:
        self._settings, self._bank, self._start, self._seed, self._device = settings, bank, start, seed, machine.device
        self._module = bank.blank(real, machine.device)
        self._owner = {name: modality_of(name) for name, _ in self._module.named_parameters()}
        needed = settings.max_start + settings.ahead
        if bank.epochs < needed:
            raise CellError(
                f"the experts have {bank.epochs} epochs, and max_start {settings.max_start} + ahead {settings.ahead} are {needed}; "
                "lower these in distill.mtt, or raise experts.epochs and run `avdistill experts` again"
            )

    def move(self, step: int, descent: Descent) -> float:
        """One step of the descent; a batch that the device has no memory for is a CellError."""
        try:
            loss, gradients = self.gradients(descent.leaves, step)
        except torch.OutOfMemoryError as error:
            told = f"a batch of {self._settings.batch} instances does not fit into the device's memory ({error})"
            raise CellError(f"{told}; lower distill.mtt.batch") from error
        # Worth the loss, and sloped like it.
        slopes = [((values - values.detach()) * gradients[name]).sum() for name, values in descent.leaves.items()]
        return descent.down([loss + torch.stack(slopes).sum()])

    def gradients(self, leaves: Mapping[str, Tensor], step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss at a step, and its derivative by each leaf, in the leaf's shape."""
        rows = {m: leaves[m].detach() for m in self._start.rows}
        rates = {m: leaves[RATE + m].detach().exp() for m in rows}
        first, goal = self._leg(step)
        last = first
        for batch in self.batches(rows, step):
            last = self._stepped(last, self._slopes(last, batch), rates)
        whole, miss, way = _minus(first, goal), _minus(last, goal), _minus(last, first)
        # Each modality's share of the mean, 1 / D_m.
        share = {m: 1 / (len(rows) * length) for m, length in self._products(whole, whole).items()}
        pull = {name: -2 * rates[m] * share[m] * miss[name] for name, m in self._owner.items()}
        found = {RATE + m: 2 * share[m] * product for m, product in self._products(miss, way).items()}
        found |= self._pulled(rows, rates, first, pull, step)
        return torch.stack([share[m] * product for m, product in self._products(miss, miss).items()]).sum(), found

    def batches(self, rows: Mapping[str, Tensor], step: int) -> Iterator[Batch]:
        """Those of the inner steps, in epochs of shuffled instances; an epoch's last may be smaller."""
        for number, index in enumerate(islice(self._shuffled(step), self._settings.inner)):
            # Instance = piece x stored rows + row.
            row, piece = index % len(self._start.label), index // len(self._start.label)
            stored, place = torch.unique(row, return_inverse=True)
            chosen = (piece * len(stored) + place).to(self._device)
            parts = {m: values[stored.to(self._device)].requires_grad_() for m, values in rows.items()}
            yield Batch(
                stored=stored.to(self._device),
                parts=parts,
                seen={m: self._augmented(values, m, chosen, (step, number)) for m, values in parts.items()},
                label=self._start.label[row].to(self._device),
            )

    def _shuffled(self, step: int) -> Iterator[Tensor]:
        generator = stream("batch", self._seed, step)
        count = len(self._start.label) * formation.pieces(self._start.formation)
        while True:
            yield from torch.split(torch.randperm(count, generator=generator), self._settings.batch)

    def _augmented(self, parts: Tensor, modality: str, chosen: Tensor, counters: tuple[int, int]) -> Tensor:
        operations = pick(self._settings.augment, modality, "list of augmentations")
        grids = self._start.formation
        instances = formation.split(parts, grids[modality], formation.pieces(grids))[chosen]
        # Sound and picture have draws of their own, as when the experts were trained.
        numbers = stream("augment", self._seed, *counters, modality)
        return augment(instances, operations, self._start.normalisation[modality].fill, numbers)

    def _leg(self, step: int) -> tuple[Weights, Weights]:
        """An expert's weights at an epoch, and `ahead` epochs later."""
        generator = stream("trajectory", self._seed, step)
        expert = int(torch.randint(len(self._bank.courses), (), generator=generator))
        epoch = int(torch.randint(self._settings.max_start + 1, (), generator=generator))
        states = [self._bank.state(expert, at) for at in (epoch, epoch + self._settings.ahead)]
        first, goal = ({name: state[name].to(self._device) for name in self._owner} for state in states)
        return first, goal

    def _slopes(self, weights: Weights, batch: Batch, graph: bool = False) -> Weights:
        """The gradient of the head's loss by the weights; with a graph of its own, if asked."""
        own = {name: values.detach().requires_grad_() for name, values in weights.items()}
        with layer_by_layer(graph):
            loss = self._module.head.loss(functional_call(self._module, own, (batch.seen,)), batch.label)  # type: ignore[operator]
        return dict(zip(own, torch.autograd.grad(loss, list(own.values()), create_graph=graph), strict=True))

    def _stepped(self, weights: Weights, slopes: Weights, rates: Mapping[str, Tensor]) -> Weights:
        return {name: values - rates[self._owner[name]] * slopes[name] for name, values in weights.items()}

    def _pulled(
        self, rows: Mapping[str, Tensor], rates: Mapping[str, Tensor], weights: Weights, pull: Weights, step: int
    ) -> dict[str, Tensor]:
        """The second walk: per modality the sum over inner steps of d(pull . g_i) / d rows."""
        total = {m: torch.zeros_like(values) for m, values in rows.items()}
        for batch in self.batches(rows, step):
            slopes, found = self._turned(weights, batch, pull)
            for m, values in found.items():
                total[m].index_add_(0, batch.stored, values)
            weights = self._stepped(weights, slopes, rates)
        return total

    def _turned(self, weights: Weights, batch: Batch, pull: Weights) -> tuple[Weights, dict[str, Tensor]]:
        """One inner step's slopes, and d(pull . slopes) / d parts; the graph between them ends with this call."""
        slopes = self._slopes(weights, batch, graph=True)
        found = torch.autograd.grad(list(slopes.values()), list(batch.parts.values()), [pull[name] for name in slopes])
        return {name: values.detach() for name, values in slopes.items()}, dict(zip(batch.parts, found, strict=True))

    def _products(self, one: Weights, other: Weights) -> dict[str, Tensor]:
        """Inner products over the flat vector of each modality's weights."""
        terms = {name: one[name].mul(other[name]).sum() for name in self._owner}
        return {m: torch.stack([terms[name] for name, own in self._owner.items() if own == m]).sum() for m in self._start.rows}


def _minus(one: Weights, other: Weights) -> Weights:
    return {name: values - other[name] for name, values in one.items()}
