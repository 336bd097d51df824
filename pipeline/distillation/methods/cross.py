"""Direct cross matching: each modality's synthetic mean against the other modality's real mean.

L = sum over classes of |a_s - v_r|^2 + |v_s - a_r|^2, with a and v the class means of sound and
picture under new random towers, s the synthetic and r the real side. The posters of AVDD (TMLR
2024) report in an ablation that it fails. The two towers share nothing, so there is no reason why
their means should agree; the method is here to measure that. Cost per step: that of dm.
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

TITLE = "Direct cross matching"
PAPER = "https://openreview.net/forum?id=IJlbuSrXmk"


@dataclass(frozen=True, kw_only=True)
class Distiller(RandomNetworkMatching):
    """Parameters of cross matching: those of `RandomNetworkMatching`."""

    def loss(
        self, real: FeatureBatch, synthetic: FeatureBatch, rng: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Return the squared distances across modalities; a CellError unless widths are equal."""
        a_real, v_real = pair_means(real.means(), "cross")
        a_synthetic, v_synthetic = pair_means(synthetic.means(), "cross")
        return squared_norm(a_synthetic - v_real) + squared_norm(v_synthetic - a_real)
