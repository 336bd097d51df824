"""Correlation congruence: the student's rows correlate as the teacher's do (Peng et al., ICCV 2019), as the paper has it.

Correlations are a Gaussian kernel of unit vectors in its Taylor expansion. The 128-wide embeds of RepDistiller's variant (see
cor_rd) are left out: n x n kernels need no common width, and two trained embeds could agree on nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.params import NonNegativeInt, PositiveFloat
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers, normalise_rows

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import KDBatch, Term


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`gamma` of the kernel, published: 0.4; `order` of the expansion, published: 2."""

    gamma: PositiveFloat
    order: NonNegativeInt

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Squared Frobenius norm of the kernels' difference, over n x n."""
        return average_over_teachers(
            batch,
            lambda _, vectors: (self.kernel(batch.features) - self.kernel(vectors)).square().mean(),
        )

    def kernel(self, x: Tensor) -> Tensor:
        """[n, D] -> exp(-2 gamma) sum_p (2 gamma)^p / p! cosine^p, [n, n]."""
        cosines = normalise_rows(x) @ normalise_rows(x).T
        scale = 2 * self.gamma
        powers = [scale**p / math.factorial(p) * cosines**p for p in range(self.order + 1)]
        return math.exp(-scale) * sum(powers[1:], powers[0])
