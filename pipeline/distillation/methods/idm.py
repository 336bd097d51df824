"""IDM, improved distribution matching (Zhao et al., CVPR 2023), with the bank of experts in place of its queue of networks.

L = sum over classes c of sum over modalities |mean f(T(real_c)) - mean f(T(D(S_c)))|^2
    + weight x r_c x CE(h(f(T(D(S_c)))), c),
with f and its classifiers h an expert at a random place of its training, D the formation's decoding, and r_c the share of the
step's real samples of c that h gets right: a network that does not know a class does not teach it. The cross-entropy is the sum
of the classifiers', each a mean over the class's instances. Cost per step: dm's; the experts are trained once for all cells.

Unlike the publication networks are not trained beside the rows but before, on the same data, and r_c counts one class, not all.
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


@dataclass(frozen=True, kw_only=True)
class Distiller(DistributionMatching):
    """See `DistributionMatching`.

    Args:
        weight: of the cross-entropy; published: 0.5 at IPC 1 and 10, 0.1 at 50.
        first, last: the part of the experts' courses that networks are taken from, 0 their start and 1 their end.
    """

    separable: ClassVar[bool] = False

    weight: NonNegativeFloat
    first: UnitInterval
    last: UnitInterval

    def network_of(self, inputs: DistillInputs) -> NetworkPlugin:
        """The experts'."""
        return inputs.require_experts("idm").network

    def build_sampler(
        self, inputs: DistillInputs, seed: int, device: torch.device
    ) -> NetworkSampler:
        """An expert at each step."""
        return ExpertNetworks(
            inputs.require_experts("idm"),
            inputs.real,
            EpochRange(first=self.first, last=self.last),
            seed,
            device,
        )

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Squared distances of class means, and the cross-entropy of experts that know the class."""
        theirs, ours = real.means(), synthetic.means()
        distance = torch.stack([squared_norm(theirs[m] - ours[m]) for m in theirs]).sum()
        return distance + self.weight * (real.accuracy() * synthetic.cross_entropy()).sum()
