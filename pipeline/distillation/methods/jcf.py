"""JCF, joint characteristic-function matching: the laws of sounds, pictures and pairs, in the eyes of trained networks.

With p = x_a . t_a + x_v . t_v the phase of a pair of embeddings at frequencies t = (t_a, t_v), a class's characteristic function is
phi(t) = mean exp(i p). L = sum over classes of mean over t of |phi_real(t) - phi_synthetic(t)|, plus weight x CE(h(f(S_c)), c), the
calibration, with f and its classifiers h an expert of the bank between its start and its end. Frequencies with both parts compare
the joint law, those with one part the marginals (`joint` is the share of the first). On no real set did students with one tower per
modality gain by the joint law (docs/results.md), so presets compare marginals. Embeddings are divided by the root of the mean
squared distance between the class's real samples, so that a frequency N(0, bandwidth^2) sees their spread.
In the end each piece gets the experts' soft label (pipeline/labels.py), whose worth is the row `labelled`. A candidate of step size
0 moves nothing: its pieces are labelled as the whole samples that they are.
Step sizes fall to 0 as a cosine and grow with IPC, for a row has 1 / IPC of its class's gradient. Which formation and which labels
serve a modality depends on the data: candidates are tried on the validation split where other methods try step sizes.
Cost per step: dm's, and (batch_real + ipc x pieces) x frequencies x width multiplications per class.

Characteristic functions: NCFM (Wang et al., CVPR 2025), on one modality, amplitude and phase of equal weight, which is |phi_real -
phi_synthetic|; experts and calibration: DANCE (Zhang et al., IJCAI 2024). The pair's joint law is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Self

import torch

from pipeline.core.params import (
    NonNegativeFloat,
    NonNegativeFloats,
    PositiveFloat,
    PositiveInt,
    UnitInterval,
)
from pipeline.distillation.distribution_matching import class_means
from pipeline.distillation.methods._distribution import DistributionMatching
from pipeline.distillation.network_sampler import EpochRange, ExpertNetworks
from pipeline.distillation.optimise import DistillResult
from pipeline.distillation.soft_labels import add_soft_labels
from pipeline.training.formation import count_pieces
from pipeline.training.loop import cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What may be chosen for a modality: its step size, its formation and the temperature of its labels.

    A step size of 0 leaves rows as they start, and labels them as the samples that they are.
    """

    rates: dict[str, NonNegativeFloat]
    formation: dict[str, tuple[PositiveInt, PositiveInt]]
    temperature: dict[str, PositiveFloat | None]


@dataclass(frozen=True, kw_only=True)
class Distiller(DistributionMatching):
    """See `DistributionMatching`; a step size is that of IPC 1, and may be 0 as in `Candidate`.

    Args:
        frequencies: drawn per step; `bandwidth`: their scale; `joint`: the share of them that see both modalities.
        weight: of the calibration.
        first, last: the part of the experts' courses that networks are taken from, 0 their start and 1 their end.
        temperature: modality -> of the experts' labels that pieces get in the end; None leaves them that of their class.
        others: candidates beside what the other parameters say; the selection rule takes one for each modality.
        tried: of all candidates, the first so many for whose formation each class has enough samples are tried; fine formations
            are given first, as they serve few instances, and coarse ones take their place where those do not fit.
    """

    rates: dict[str, NonNegativeFloats]
    frequencies: PositiveInt
    bandwidth: PositiveFloat
    joint: UnitInterval
    weight: NonNegativeFloat
    first: UnitInterval
    last: UnitInterval
    temperature: dict[str, PositiveFloat | None]
    others: tuple[Candidate, ...]
    tried: PositiveInt

    def __post_init__(self) -> None:
        """Any two of the formations can be mixed, or a CellError says which cannot."""
        formations = [self.formation, *(other.formation for other in self.others)]
        for grids in product(*([(m, grids[m]) for grids in formations] for m in self.formation)):
            count_pieces(dict(grids))

    def schedule(self, done: float) -> float:
        """Falls to 0: each step sees other networks, and the last ones should not undo what all of them agree on."""
        return cosine(done)

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """One distiller per candidate that is tried; where no formation fits, the coarsest, which says so when it begins."""
        least = min(len(inputs.real.indices_of(label)) for label in range(len(inputs.real.classes)))
        others = [
            replace(
                self,
                rates={m: (rate,) for m, rate in own.rates.items()},
                formation=own.formation,
                temperature=own.temperature,
            )
            for own in self.others
        ]
        variants = [
            replace(variant, others=()) for variant in (*super().variants(inputs, ipc), *others)
        ]
        fitting = [
            variant for variant in variants if ipc * count_pieces(variant.formation) <= least
        ]
        return fitting[: self.tried] or [
            min(variants, key=lambda variant: count_pieces(variant.formation))
        ]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        """The distiller that treats each modality as the variant given for it does."""
        formation = {m: part.formation[m] for m, part in parts.items()}
        temperature = {m: part.temperature[m] for m, part in parts.items()}
        return replace(super().mix(parts), formation=formation, temperature=temperature, others=())

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        """The experts'."""
        return inputs.require_experts("jcf").network

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """An expert at each step."""
        return ExpertNetworks(
            inputs.require_experts("jcf"),
            inputs.real,
            EpochRange(first=self.first, last=self.last),
            seed,
            device,
        )

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Move the start's rows, then ask the experts what they take each piece for."""
        still = [m for m, rates in self.rates.items() if not rates[0]]
        result = (
            self._optimise(inputs, ipc, seed, runtime)
            if self.moves
            else self._keep_start(inputs, ipc, seed)
        )
        made = add_soft_labels(
            result.synthetic,
            inputs.require_experts("jcf"),
            inputs.real,
            self.temperature,
            runtime.device,
            still,
        )
        return replace(result, synthetic=made)

    def _optimise(
        self, inputs: DistillInputs, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        moving = replace(self, rates={m: (ipc * rates[0],) for m, rates in self.rates.items()})
        return DistributionMatching.distill(moving, inputs, ipc=ipc, seed=seed, runtime=runtime)

    def _keep_start(self, inputs: DistillInputs, ipc: int, seed: int) -> DistillResult:
        return DistillResult(synthetic=self.begin(inputs, ipc=ipc, seed=seed))

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Distances of characteristic functions, and the calibration."""
        generator = rng("frequencies")
        masks = self._draw_masks(len(real.features), generator)
        phases = [torch.zeros(()), torch.zeros(())]
        for mask, m in zip(masks, sorted(real.features), strict=True):
            spread = torch.stack([_spread(own) for own in real.split_by_class(m)])
            t = (
                self.bandwidth
                * mask
                * torch.randn(real.features[m].shape[1], self.frequencies, generator=generator)
            )
            phases = [
                phase + seen.rescale(m, spread) @ t.to(spread)
                for phase, seen in zip(phases, (real, synthetic), strict=True)
            ]
        theirs, ours = (
            _characteristic_function(p, s.sizes)
            for p, s in zip(phases, (real, synthetic), strict=True)
        )
        # The square root's slope is infinite at zero.
        distance = (theirs - ours).square().sum(0).add(1e-8).sqrt().mean(1).sum()
        return distance + self.weight * synthetic.cross_entropy().sum()

    def _draw_masks(self, modalities: int, generator: torch.Generator) -> Tensor:
        """[modalities, frequencies]: 1 where a frequency sees the modality."""
        both = torch.rand(self.frequencies, generator=generator) < self.joint
        own = torch.arange(self.frequencies) % modalities == torch.arange(modalities)[:, None]
        return (both | own).float()


def _characteristic_function(phase: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Phases [N, F], class by class -> real and imaginary part of each class's function, [2, classes, F]."""
    return torch.stack([class_means(phase.cos(), sizes), class_means(phase.sin(), sizes)])


def _spread(x: Tensor) -> Tensor:
    """Root of the mean squared distance between two rows; 1 where all are equal."""
    square = 2 * x.var(0, correction=0).sum()
    return torch.where(square > 0, square.sqrt(), 1.0)
