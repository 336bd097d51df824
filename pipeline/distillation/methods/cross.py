"""Direct cross matching: the sound's mean against the picture's, the ablation row that AVDD's posters (TMLR 2024) say fails.

L = sum over classes of |a_s - v_r|^2 + |v_s - a_r|^2, with a and v the class means of sound and picture under fresh random towers,
s the synthetic and r the real side. The two towers share nothing, so that there is no reason why their means should meet; it
stands here to be measured. Cost per step: that of dm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.distillation.methods._distribution import Untrained, paired, squared

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.distillation.distribution_matching import Seen


@dataclass(frozen=True, kw_only=True)
class Distiller(Untrained):
    """See `Untrained` for the parameters."""

    def loss(
        self, real: Seen, synthetic: Seen, streams: Callable[[str], torch.Generator]
    ) -> Tensor:
        """Squared distances across the modalities; a CellError unless there are two of one width."""
        (a_real, v_real), (a_synthetic, v_synthetic) = (
            paired(side.means(), "cross") for side in (real, synthetic)
        )
        return squared(a_synthetic - v_real) + squared(v_synthetic - a_real)
