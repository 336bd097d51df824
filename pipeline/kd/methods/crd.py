"""Contrastive representation distillation (CRD, Tian et al., ICLR 2020).

Student and teacher of one training row are a positive pair. Rows of params.yaml: `crd` draws its
negatives from a memory of the training set, among rows of other classes. `cmc` (Tian et al., ECCV
2020) draws them from all rows, so some share the row's class. `crd_inbatch` takes the other
classes' rows of the batch, in the softmax form (InfoNCE) that the authors advise for small data:
the memory's Z is fixed by the first batch, which can be far off there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pipeline.kd.method import average_over_teachers, normalise_rows
from pipeline.kd.methods._memory_bank import MemoryContrast
from pipeline.kd.methods._projections import build_projections

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.kd.method import KDBatch, Term, Widths

TITLE = "Contrastive representation distillation (CRD)"
PAPER = "https://arxiv.org/abs/1910.10699"
ROWS = {
    "crd_inbatch": ("CRD with the negatives of a batch", "https://arxiv.org/abs/1910.10699"),
    "cmc": ("Contrastive multiview coding (CMC)", "https://arxiv.org/abs/1906.05849"),
}


@dataclass(frozen=True, kw_only=True)
class Method(MemoryContrast):
    """See `MemoryContrast`; `negatives: 0` keeps no memory and contrasts within the batch.

    Args:
        same_class: whether rows of the anchor's class are negatives too (CMC).
    """

    same_class: bool

    def weigh_negatives(self, label: Tensor, bank_label: Tensor) -> Tensor:
        """Weigh rows of other classes, or all rows, by 1."""
        if self.same_class:
            return torch.ones(len(label), len(bank_label))
        return (label[:, None] != bank_label).float()

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build a memory per teacher, or a pair of projections if there is no memory."""
        if self.negatives:
            return super().build(widths, generator)
        return build_projections(widths, self.width, generator)

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Average both directions over teachers."""
        return (
            super().term(parts, batch) if self.negatives else self._contrast_in_batch(parts, batch)
        )

    def _contrast_in_batch(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        positive = torch.eye(len(batch.label), dtype=torch.bool, device=batch.label.device)
        masked = (batch.label[:, None] == batch.label) & ~positive
        if self.same_class:
            masked = torch.zeros_like(positive)

        def teacher_loss(modality: str, vectors: Tensor) -> Tensor:
            student, teacher = parts[modality](batch.features, vectors)
            forward = info_nce_loss(student, teacher, self.temperature, masked)
            return (forward + info_nce_loss(teacher, student, self.temperature, masked)) / 2

        return average_over_teachers(batch, teacher_loss)


def info_nce_loss(anchor: Tensor, candidates: Tensor, temperature: float, masked: Tensor) -> Tensor:
    """Return InfoNCE, the cross-entropy of cosines over the temperature.

    Args:
        anchor: [n, D].
        candidates: [n, D]; candidate i is the positive of anchor i.
        temperature: of the similarity.
        masked: pairs to leave out, bool [n, n].
    """
    similarity = normalise_rows(anchor) @ normalise_rows(candidates).T / temperature
    similarity = similarity.masked_fill(masked, -torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(anchor), device=anchor.device))
