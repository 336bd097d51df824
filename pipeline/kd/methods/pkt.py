"""Probabilistic knowledge transfer: rows are neighbours as probably as for the teacher (Passalis and Tefas, ECCV 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import average_over_teachers
from pipeline.kd.methods._similarity import cosine, to_probabilities

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import KDBatch, Term

# Keeps logarithms and directions finite.
LEAST = 1e-7


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """No parameters of its own; the mean over n x n pairs is small, hence the large weight, published: 30000."""

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """See `divergence`."""
        return average_over_teachers(batch, lambda _, vectors: divergence(batch.features, vectors))


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Of the neighbours' probabilities under the cosine kernel: mean over all pairs of K_t log(K_t / K_s)."""
    soft, wanted = (
        to_probabilities(cosine(student, LEAST)),
        to_probabilities(cosine(teacher, LEAST)),
    )
    return (wanted * ((wanted + LEAST) / (soft + LEAST)).log()).mean()
