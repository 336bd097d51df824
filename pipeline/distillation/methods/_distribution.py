"""What methods share that match distributions of embeddings."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.core.errors import CellError
from pipeline.core.params import PositiveInt
from pipeline.core.plugins import pick
from pipeline.distillation import distribution_matching as matching
from pipeline.distillation.methods._base import AugmentedOptimized
from pipeline.distillation.network_sampler import RandomNetworks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.distillation.optimise import DistillResult
    from pipeline.models.model import NetworkPlugin


@dataclass(frozen=True, kw_only=True)
class DistributionMatching(AugmentedOptimized):
    """Parameters of a method that matches distributions of embeddings; `batch_real`: real samples per class and step."""

    separable: ClassVar[bool] = True

    batch_real: PositiveInt

    @abstractmethod
    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """The distance that the rows go down, summed over classes; each method has its own."""

    @abstractmethod
    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """Whose eyes the distributions are compared with."""

    def schedule(self, done: float) -> float:
        """Factor on the step sizes when a fraction of the steps is done; DM and those that follow it keep them."""
        return 1.0

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Move the start's rows; the first candidate of each rate counts."""
        start = self.begin(inputs, ipc=ipc, seed=seed)
        plan = matching.MatchingPlan(
            steps=self.steps,
            batch_real=self.batch_real,
            rates={modality: rates[0] for modality, rates in self.rates.items()},
            momentum=self.momentum,
            schedule=self.schedule,
            operations=self.augment,
        )
        sampler = self.build_sampler(inputs, seed, runtime.device)
        return matching.match(
            inputs.real, start, self.loss, sampler, plan, seed=seed, runtime=runtime
        )


@dataclass(frozen=True, kw_only=True)
class RandomNetworkMatching(DistributionMatching):
    """A method that compares with random weights: `network` is drawn anew at each step."""

    network: str

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        """The one of that name."""
        return pick(inputs.networks, self.network, "network")

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """A fresh network at each step."""
        return RandomNetworks(self.network_of(inputs), inputs.real, seed, device)


def squared_norm(difference: Tensor) -> Tensor:
    """Squared Euclidean norm of each class's difference, summed over classes."""
    return difference.square().sum()


def pair_means(means: Mapping[str, Tensor], method: str) -> tuple[Tensor, Tensor]:
    """Means of sound and of picture, for a method that adds them; a CellError unless there are two of one width."""
    if len(means) != 2:
        raise CellError(
            f"{method} couples two modalities, found {', '.join(means)}; use dm for one"
        )
    a, v = (means[m] for m in sorted(means, reverse=True))
    if a.shape != v.shape:
        raise CellError(
            f"{method} adds the features of its towers, found widths {a.shape[1]} and {v.shape[1]}; give both the same grid"
        )
    return a, v
