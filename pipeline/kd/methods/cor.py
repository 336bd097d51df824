"""Correlation congruence (Peng et al., ICCV 2019): match the student's kernel to the teacher's.

The kernel is the Taylor expansion of a Gaussian kernel of unit vectors. The 128-wide projections of
RepDistiller's variant (see cor_rd) are left out: n x n kernels need no common width, and two
trained projections can agree on a constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.params import NonNegativeInt, PositiveFloat
from pipeline.kd.method import KDMethod, average_over_teachers, normalise_rows

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term

TITLE = "Correlation congruence"
PAPER = "https://arxiv.org/abs/1904.01802"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Correlation congruence.

    Args:
        gamma: of the kernel; published: 0.4.
        order: of the expansion; published: 2.
    """

    gamma: PositiveFloat
    order: NonNegativeInt

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return the squared Frobenius norm of the kernels' difference, over n x n."""
        return average_over_teachers(
            batch,
            lambda _, vectors: (self.kernel(batch.features) - self.kernel(vectors)).square().mean(),
        )

    def kernel(self, x: Tensor) -> Tensor:
        """Return exp(-2 gamma) sum_p (2 gamma)^p / p! cosine^p, [n, n].

        Args:
            x: [n, D].
        """
        cosines = normalise_rows(x) @ normalise_rows(x).T
        scale = 2 * self.gamma
        powers = [scale**p / math.factorial(p) * cosines**p for p in range(self.order + 1)]
        return math.exp(-scale) * sum(powers[1:], powers[0])
