"""Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018): match neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.method import KDMethod, average_over_teachers
from pipeline.kd.methods._similarity import cosine, to_probabilities

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term

TITLE = "Probabilistic knowledge transfer (PKT)"
PAPER = "https://arxiv.org/abs/1803.10837"
# Keeps lengths above 0 and logarithms finite.
EPSILON = 1e-7


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """Probabilistic knowledge transfer; no parameters of its own.

    The mean over n x n pairs is small, hence the large weight; published: 30000.
    """

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """See `divergence`."""
        return average_over_teachers(batch, lambda _, vectors: divergence(batch.features, vectors))


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over pairs of K_t log(K_t / K_s), K the cosine kernel's probabilities.

    Args:
        student: [n, D].
        teacher: [n, D_t].
    """
    k_s, k_t = (to_probabilities(cosine(x, EPSILON)) for x in (student, teacher))
    return (k_t * ((k_t + EPSILON) / (k_s + EPSILON)).log()).mean()
