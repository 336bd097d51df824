"""Direct cross matching: the sound's mean against the picture's, the ablation row that AVDD's posters (TMLR 2024) say fails.

L = sum over classes of |a_s - v_r|^2 + |v_s - a_r|^2, with a and v the class means of sound and picture under fresh random towers,
s the synthetic and r the real side. The two towers share nothing, so that there is no reason why their means should meet; it
stands here to be measured. Cost per step: that of dm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.distillation.methods._distribution import (
    RandomNetworkMatching,
    pair_means,
    squared_norm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.distillation.distribution_matching import FeatureBatch


@dataclass(frozen=True, kw_only=True)
class Distiller(RandomNetworkMatching):
    """See `RandomNetworkMatching` for the parameters."""

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Squared distances across the modalities; a CellError unless there are two of one width."""
        (a_real, v_real), (a_synthetic, v_synthetic) = (
            pair_means(side.means(), "cross") for side in (real, synthetic)
        )
        return squared_norm(a_synthetic - v_real) + squared_norm(v_synthetic - a_real)
