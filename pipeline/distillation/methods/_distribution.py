"""The base of the methods that match distributions of embeddings."""

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
    """Parameters of a method that matches distributions of embeddings.

    Args:
        batch_real: real samples per class and step.
    """

    separable: ClassVar[bool] = True

    batch_real: PositiveInt

    @abstractmethod
    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the distance of two batches of embeddings, summed over classes, a scalar.

        Args:
            real: embeddings of real samples.
            synthetic: embeddings of the synthetic set's training instances.
            rng: name -> a generator of this step.
        """

    @abstractmethod
    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """Return the source of the networks that embed both sides.

        Args:
            inputs: the networks, the bank and the training split.
            seed: names the draws.
            device: where the networks are used.
        """

    def schedule(self, done: float) -> float:
        """Return the factor on the step sizes; 1 in DM and the methods that follow it.

        Args:
            done: fraction of the steps done, 0..1.
        """
        return 1.0

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
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
    """A method that embeds with random weights.

    Args:
        network: the architecture; new weights are drawn at each step.
    """

    network: str

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return pick(inputs.networks, self.network, "network")

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        return RandomNetworks(self.network_of(inputs), inputs.real, seed, device)


def squared_norm(difference: Tensor) -> Tensor:
    """Return the squared Euclidean norm, summed over classes.

    Args:
        difference: one row per class, [classes, D].

    Example:
        squared_norm(real.means()["frame"] - synthetic.means()["frame"])
    """
    return difference.square().sum()


def pair_means(means: Mapping[str, Tensor], method: str) -> tuple[Tensor, Tensor]:
    """Return the class means of sound and of picture, for a method that adds them.

    Args:
        means: modality -> class means [classes, D].
        method: for the message.

    Raises:
        CellError: there are not two modalities, or their widths D differ.

    Example:
        a, v = pair_means(real.means(), "avdd")
    """
    if len(means) != 2:
        raise CellError(
            f"{method} couples two modalities, found {', '.join(means)}; use dm for one"
        )
    a, v = (means[m] for m in sorted(means, reverse=True))
    if a.shape != v.shape:
        raise CellError(
            f"{method} adds the features of its towers, found widths {a.shape[1]} and "
            f"{v.shape[1]}; give both the same grid"
        )
    return a, v
