"""DM, distribution matching (Zhao and Bilen, WACV 2023), for each modality separately.

L = sum over classes c and modalities m of |mean f_m(T(real_c)) - mean f_m(T(D(S_c)))|^2, with f a
new random network at each step, T one augmentation for both sides, and D the decoding of the
formation. Cost per step: classes x batch_real forward passes without gradients, and classes x ipc x
pieces with gradients. Unlike the paper, rows are pieces of a formation (Kim et al., ICML 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.distillation.methods._distribution import RandomNetworkMatching, squared_norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch

TITLE = "Distribution matching (DM)"
PAPER = "https://arxiv.org/abs/2110.04181"


@dataclass(frozen=True, kw_only=True)
class Distiller(RandomNetworkMatching):
    """Parameters of DM: those of `RandomNetworkMatching`."""

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the squared distances of class means, summed over modalities and classes."""
        x, y = real.means(), synthetic.means()
        return torch.stack([squared_norm(x[m] - y[m]) for m in x]).sum()
