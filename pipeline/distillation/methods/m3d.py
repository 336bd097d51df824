"""M3D, distillation by minimising the maximum mean discrepancy (Zhang et al., AAAI 2024).

L = sum over classes and modalities of K(T, T) + K(S, S) - 2 K(T, S), with K the mean of a kernel
over all pairs of features. This is the squared distance of the two distributions' means in the
kernel's space, where dm compares the means of the features alone. The kernel is a mean of Gaussians
exp(-|x - y|^2 / (b s)), with b the mean squared distance among the class's real features and s in
`scales`. Cost per step: dm's, and (batch_real + ipc x pieces)^2 distances per class.

Unlike the paper, whose code is not public: bandwidths are the usual ones of kernel two-sample tests
(Gretton et al., JMLR 2012), and rows start from a formed coreset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.core.params import PositiveFloats, PositiveInt
from pipeline.core.plugins import pick
from pipeline.distillation.methods._distribution import DistributionMatching
from pipeline.distillation.network_sampler import RandomNetworks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch
    from pipeline.distillation.inputs import DistillInputs
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.models.model import NetworkPlugin

TITLE = "Minimising the maximum mean discrepancy (M3D)"
PAPER = "https://arxiv.org/abs/2312.15927"


@dataclass(frozen=True, kw_only=True)
class Distiller(DistributionMatching):
    """Parameters of M3D; see `DistributionMatching` for the others.

    Args:
        network: the architecture of the random networks.
        steps_per_network: steps between two draws of weights.
        scales: of the Gaussians, multiples of the mean squared distance.
    """

    network: str
    steps_per_network: PositiveInt
    scales: PositiveFloats

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return pick(inputs.networks, self.network, "network")

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """Return random networks, each for several steps, as published."""
        return RandomNetworks(
            self.network_of(inputs), inputs.real, seed, device, every=self.steps_per_network
        )

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the squared maximum mean discrepancies, summed over modalities and classes."""
        pairs = [
            pair
            for m in real.features
            for pair in zip(real.split_by_class(m), synthetic.split_by_class(m), strict=True)
        ]
        return torch.stack([_discrepancy(x, y, self.scales) for x, y in pairs]).sum()


def _discrepancy(real: Tensor, synthetic: Tensor, scales: tuple[float, ...]) -> Tensor:
    # Equal features have distance 0; then any bandwidth will do.
    width = (2 * real.var(0, correction=0).sum()).clamp_min(torch.finfo(real.dtype).tiny)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squares = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.stack([torch.exp(-squares / (width * scale)) for scale in scales]).mean()

    return kernel(real, real) + kernel(synthetic, synthetic) - 2 * kernel(real, synthetic)
