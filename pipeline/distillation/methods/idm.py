"""IDM, improved distribution matching (Zhao et al., CVPR 2023), with a bank of experts.

L = sum over classes c of sum over modalities |mean f(T(real_c)) - mean f(T(D(S_c)))|^2
    + weight x r_c x CE(h(f(T(D(S_c)))), c).
f and its classifiers h are an expert at a random point of its training, and D decodes the
formation. r_c is the share of the step's real samples of c that h gets right: a network that does
not know a class does not teach it. The cross-entropy is summed over the classifiers, each a mean
over the class's instances. Cost per step: dm's; the experts are trained once for all cells.

Unlike the paper, which trains a queue of networks beside the rows, networks are trained before, on
the same data; and r_c counts one class, not all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from pipeline.core.params import NonNegativeFloat, UnitInterval
from pipeline.distillation.methods._distribution import DistributionMatching, squared_norm
from pipeline.distillation.network_sampler import EpochRange, ExpertNetworks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch
    from pipeline.distillation.inputs import DistillInputs
    from pipeline.distillation.network_sampler import NetworkSampler
    from pipeline.models.model import NetworkPlugin

TITLE = "Improved distribution matching (IDM)"
PAPER = "https://arxiv.org/abs/2307.09742"


@dataclass(frozen=True, kw_only=True)
class Distiller(DistributionMatching):
    """Parameters of IDM; see `DistributionMatching` for the others.

    Args:
        weight: of the cross-entropy; published: 0.5 at IPC 1 and 10, 0.1 at 50.
        first: networks are taken from this point of the experts' training on; 0 is its start.
        last: networks are taken up to this point; 1 is the end.
    """

    separable: ClassVar[bool] = False

    weight: NonNegativeFloat
    first: UnitInterval
    last: UnitInterval

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        return inputs.require_experts("idm").network

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        epochs = EpochRange(first=self.first, last=self.last)
        return ExpertNetworks(inputs.require_experts("idm"), inputs.real, epochs, seed, device)

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the squared distances of class means, plus the weighted cross-entropy."""
        x, y = real.means(), synthetic.means()
        distance = torch.stack([squared_norm(x[m] - y[m]) for m in x]).sum()
        return distance + self.weight * (real.accuracy() * synthetic.cross_entropy()).sum()
