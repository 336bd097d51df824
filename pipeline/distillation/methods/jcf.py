"""JCF, joint characteristic-function matching: embeddings of trained networks match in law.

p = x_a . t_a + x_v . t_v is the phase of a pair of embeddings at frequencies t = (t_a, t_v), and
phi(t) = mean exp(i p) is the characteristic function of a class.

    L = sum over classes of mean over t of |phi_real(t) - phi_synthetic(t)|
        + weight x CE(h(f(S_c)), c), the calibration.

f and its classifiers h are an expert of the bank, between its start and its end. Frequencies with
both parts compare the joint law of sound and picture; `joint` is their share. Frequencies with one
part compare the marginals. On no real set did students with one tower per modality gain by the
joint law (docs/notes/2026-11-27-jcf-choices.md), so presets compare marginals. Embeddings are
divided by the root of the mean squared distance between the class's real samples, so that a
frequency drawn from N(0, bandwidth^2) fits their spread.

At the end each piece gets the soft label of the experts (soft_labels.py); the row `labelled` shows
the gain of these labels alone. A candidate of step size 0 optimises nothing: its pieces get the
labels of the whole samples that they are.

Step sizes fall to 0 as a cosine, and grow with IPC, because a row has 1 / IPC of its class's
gradient. The best formation and labels of a modality depend on the data: candidates are tried on
the validation split, where other methods try step sizes. Cost per step: dm's, and
(batch_real + ipc x pieces) x frequencies x width multiplications per class.

Characteristic functions are from NCFM (Wang et al., CVPR 2025), on one modality; amplitude and
phase have equal weight, which is |phi_real - phi_synthetic|. Experts and calibration are from DANCE
(Zhang et al., IJCAI 2024). The pair's joint law is ours.
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
from pipeline.training.loop import anneal_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.models.model import NetworkPlugin

TITLE = "Joint characteristic-function matching (JCF)"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One candidate: a step size, a formation and a temperature of the labels for each modality.

    Args:
        rates: modality -> step size; 0 keeps the rows, and labels them as whole samples.
        formation: modality -> (rows, columns) of its pieces.
        temperature: modality -> temperature of its labels; None for one-hot labels.
    """

    rates: dict[str, NonNegativeFloat]
    formation: dict[str, tuple[PositiveInt, PositiveInt]]
    temperature: dict[str, PositiveFloat | None]


@dataclass(frozen=True, kw_only=True)
class Distiller(DistributionMatching):
    """Parameters of JCF; see `DistributionMatching` for the others.

    Args:
        rates: modality -> candidate step sizes for IPC 1; they may be 0, as in `Candidate`.
        frequencies: drawn per step.
        bandwidth: standard deviation of the frequencies.
        joint: share of the frequencies that see both modalities.
        weight: of the calibration.
        first: networks are taken from this point of the experts' training on; 0 is its start.
        last: networks are taken up to this point; 1 is the end.
        temperature: modality -> temperature of the labels at the end; None for one-hot labels.
        others: more candidates; one candidate is chosen for each modality.
        tried: how many candidates are tried: the first for whose formation each class has enough
            samples. Fine formations come first, as they serve few instances; coarse ones replace
            those that do not fit.
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
        """Refuse formations that cannot be mixed with each other."""
        formations = [self.formation, *(other.formation for other in self.others)]
        for grids in product(*([(m, grids[m]) for grids in formations] for m in self.formation)):
            count_pieces(dict(grids))

    def schedule(self, done: float) -> float:
        """Return a cosine from 1 to 0: the last networks should not undo what all agree on."""
        return anneal_cosine(done)

    def fewest_pieces(self, modalities: Sequence[str]) -> int:
        formations = [self.formation, *(other.formation for other in self.others)]
        return min(count_pieces({m: grids[m] for m in modalities}) for grids in formations)

    def variants(self, inputs: DistillInputs, ipc: int) -> list[Self]:
        """Return one distiller per candidate that is tried.

        If no formation fits, it is the coarsest, which fails with a message when it begins.
        """
        real = inputs.real
        smallest = min(len(real.indices_of(label)) for label in range(len(real.classes)))
        others = [
            replace(
                self,
                rates={m: (rate,) for m, rate in other.rates.items()},
                formation=other.formation,
                temperature=other.temperature,
            )
            for other in self.others
        ]
        variants = [
            replace(variant, others=()) for variant in (*super().variants(inputs, ipc), *others)
        ]
        pieces = [count_pieces(variant.formation) for variant in variants]
        fitting = [
            variant for variant, n in zip(variants, pieces, strict=True) if ipc * n <= smallest
        ]
        return fitting[: self.tried] or [variants[pieces.index(min(pieces))]]

    def mix(self, parts: Mapping[str, Self]) -> Self:
        formation = {m: part.formation[m] for m, part in parts.items()}
        temperature = {m: part.temperature[m] for m, part in parts.items()}
        return replace(super().mix(parts), formation=formation, temperature=temperature, others=())

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return inputs.require_experts("jcf").network

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        epochs = EpochRange(first=self.first, last=self.last)
        return ExpertNetworks(inputs.require_experts("jcf"), inputs.real, epochs, seed, device)

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Optimise the rows of the start, then add the experts' labels."""
        if self.moves:
            result = self._optimise(inputs, ipc, seed, runtime)
        else:
            result = DistillResult(synthetic=self.begin(inputs, ipc=ipc, seed=seed))
        labelled = add_soft_labels(
            result.synthetic,
            inputs.require_experts("jcf"),
            inputs.real,
            self.temperature,
            runtime.device,
            unchanged=[m for m, rates in self.rates.items() if not rates[0]],
        )
        return replace(result, synthetic=labelled)

    def _optimise(
        self, inputs: DistillInputs, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        scaled = replace(self, rates={m: (ipc * rates[0],) for m, rates in self.rates.items()})
        return DistributionMatching.distill(scaled, inputs, ipc=ipc, seed=seed, runtime=runtime)

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the distance of characteristic functions, plus the calibration."""
        generator = rng("frequencies")
        masks = self._draw_masks(len(real.features), generator)
        batches = (real, synthetic)
        phases = [torch.zeros(()), torch.zeros(())]
        for mask, m in zip(masks, sorted(real.features), strict=True):
            spread = torch.stack([_spread(features) for features in real.split_by_class(m)])
            width = real.features[m].shape[1]
            normal = torch.randn(width, self.frequencies, generator=generator)
            t = self.bandwidth * mask * normal
            phases = [
                phase + batch.rescale(m, spread) @ t.to(spread)
                for phase, batch in zip(phases, batches, strict=True)
            ]
        phi_real, phi_synthetic = (
            _characteristic_function(phase, batch.sizes)
            for phase, batch in zip(phases, batches, strict=True)
        )
        # 1e-8, because the derivative of the square root is infinite at zero.
        distance = (phi_real - phi_synthetic).square().sum(0).add(1e-8).sqrt().mean(1).sum()
        return distance + self.weight * synthetic.cross_entropy().sum()

    def _draw_masks(self, modalities: int, generator: torch.Generator) -> Tensor:
        """Return [modalities, frequencies]: 1 where a frequency sees the modality."""
        both = torch.rand(self.frequencies, generator=generator) < self.joint
        turns = torch.arange(self.frequencies) % modalities == torch.arange(modalities)[:, None]
        return (both | turns).float()


def _characteristic_function(phase: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return each class's characteristic function, [2, classes, F]: real and imaginary part.

    Args:
        phase: [N, F], class by class.
        sizes: rows of each class.
    """
    return torch.stack([class_means(phase.cos(), sizes), class_means(phase.sin(), sizes)])


def _spread(x: Tensor) -> Tensor:
    """Return the root of the mean squared distance between two rows; 1 if all are equal."""
    square = 2 * x.var(0, correction=0).sum()
    return torch.where(square > 0, square.sqrt(), 1.0)
