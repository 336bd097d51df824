"""Contrastive representation distillation without a memory: other classes' rows of the batch are the negatives; for small sets.

Tian et al., ICLR 2020, in the softmax form (InfoNCE) that its authors advise for small data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.core.params import Count, Positive
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import mean, unit
from pipeline.kd.methods._projections import embeds

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.methods._base import Batch, Term, Widths


@dataclass(frozen=True, kw_only=True)
class Method(_method.Method):
    """`width` of the common space, published: 128; `temperature`, published: 0.07."""

    width: Count
    temperature: Positive

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A pair of embeds per teacher."""
        return embeds(widths, self.width, generator)

    def term(self, parts: nn.ModuleDict, batch: Batch) -> Term:
        """The mean of both directions, as the heads of the house have it."""
        own = torch.eye(len(batch.label), dtype=torch.bool, device=batch.label.device)
        masked = (batch.label[:, None] == batch.label) & ~own

        def between(modality: str, vectors: Tensor) -> Tensor:
            student, teacher = parts[modality](batch.features, vectors)
            return (
                contrast(student, teacher, self.temperature, masked)
                + contrast(teacher, student, self.temperature, masked)
            ) / 2

        return mean(batch, between)


def contrast(anchor: Tensor, candidates: Tensor, temperature: float, masked: Tensor) -> Tensor:
    """InfoNCE: cross-entropy of cosines over the temperature, candidate i being anchor i's own, without the masked pairs [n, n]."""
    similarity = (unit(anchor) @ unit(candidates).T / temperature).masked_fill(masked, -torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(anchor), device=anchor.device))
