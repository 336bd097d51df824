"""Noise-contrastive estimation against a memory of the whole training set.

CRD (Tian et al., ICLR 2020, after Wu et al., CVPR 2018): with h = exp(cosine / T) / Z, the loss of
an anchor is -log h+ / (h+ + K/N) - sum over K negatives of log (K/N) / (h- + K/N). Z is N times the
mean over the first batch, and then fixed. The memory follows the embeddings by a moving average.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from pipeline.core.params import NonNegativeInt, PositiveFloat, PositiveInt, UnitInterval
from pipeline.kd.method import KDMethod, Term, normalise_rows
from pipeline.kd.methods._projections import ProjectionPair
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from pipeline.kd.method import BufferUpdates, KDBatch, Widths

SIDES = ("student", "teacher")


class MemoryBank(nn.Module):
    """Projections of a student and a teacher, and a memory of both sides for every training row.

    Buffers: `of_student` and `of_teacher` [N, width]; `z_student` and `z_teacher` [1], the Z of
    anchors of that side, 0 before the first batch.

    Args:
        embeds: the projections.
        label: of every training row, int64 [N].
        width: of the common space.
        generator: draws weights and the first memory.
    """

    def __init__(
        self, embeds: ProjectionPair, label: Tensor, width: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.embeds, self.label = embeds, label
        init_(embeds, generator)
        bound = 1 / math.sqrt(width / 3)
        for side in SIDES:
            self.register_buffer(
                f"of_{side}", torch.rand(len(label), width, generator=generator) * 2 * bound - bound
            )
            self.register_buffer(f"z_{side}", torch.zeros(1))

    def get_detached_buffer(self, name: str) -> Tensor:
        """Return a buffer without its gradient.

        Args:
            name: of_student, of_teacher, z_student or z_teacher.
        """
        return self.get_buffer(name).detach()


@dataclass(frozen=True, kw_only=True)
class MemoryContrast(KDMethod):
    """Contrast each side's embeddings with the other side's memory.

    Args:
        width: of the common space; published: 128.
        temperature: published: 0.07.
        momentum: share of the old embedding in a row's new one; published: 0.5.
        negatives: K per row, drawn with replacement; published: 16384.
    """

    width: PositiveInt
    temperature: PositiveFloat
    momentum: UnitInterval
    negatives: NonNegativeInt

    @abstractmethod
    def weigh_negatives(self, label: Tensor, bank_label: Tensor) -> Tensor:
        """Return the weight of each training row as a negative of each batch row, float [n, N].

        Args:
            label: of the batch, int64 [n].
            bank_label: of the training set, int64 [N].
        """

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """Build a memory per teacher."""
        return nn.ModuleDict(
            {
                m: MemoryBank(
                    ProjectionPair(widths.student, wide, self.width),
                    widths.label.cpu(),
                    self.width,
                    generator,
                )
                for m, wide in widths.teachers.items()
            }
        )

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Sum both directions, and average over teachers."""
        losses: list[Tensor] = []
        updates: BufferUpdates = {}
        for modality, vectors in batch.teachers.items():
            memory = cast("MemoryBank", parts[modality])
            index = self._draw_candidates(memory, batch)
            for side, other, anchor in zip(
                SIDES, SIDES[::-1], memory.embeds(batch.features, vectors), strict=True
            ):
                bank = memory.get_detached_buffer(f"of_{other}")
                z = memory.get_detached_buffer(f"z_{side}")
                loss, fixed = nce_loss(anchor, bank[index], z, len(bank), self.temperature)
                losses.append(loss)
                old = memory.get_detached_buffer(f"of_{side}")[batch.rows]
                new = normalise_rows(self.momentum * old + (1 - self.momentum) * anchor.detach())
                updates[f"{modality}.of_{side}"] = (batch.rows, new)
                updates[f"{modality}.z_{side}"] = (torch.zeros_like(batch.rows[:1]), fixed)
        return Term(student_loss=torch.stack(losses).sum() / len(batch.teachers), updates=updates)

    def _draw_candidates(self, memory: MemoryBank, batch: KDBatch) -> Tensor:
        """Return int64 [n, 1 + K]: each row's number, then those of its negatives."""
        weights = self.weigh_negatives(batch.label.cpu(), memory.label)
        drawn = torch.multinomial(
            weights, self.negatives, replacement=True, generator=batch.generator
        )
        return torch.cat([batch.rows[:, None], drawn.to(batch.rows.device)], 1)


def nce_loss(
    anchor: Tensor, candidates: Tensor, z: Tensor, rows: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Compute the loss of anchors against candidates.

    Args:
        anchor: [n, D].
        candidates: [n, 1 + K, D], the positive first.
        z: Z [1], 0 before the first batch.
        rows: N, of the training set.
        temperature: of the similarity.

    Returns:
        The mean loss over anchors, and Z [1].
    """
    raw = (candidates @ anchor[..., None]).squeeze(2).div(temperature).exp()
    z = torch.where(z > 0, z, raw.detach().mean() * rows)
    h = raw / z
    noise = (candidates.shape[1] - 1) / rows
    right = (h[:, 0] / (h[:, 0] + noise)).log()
    wrong = (noise / (h[:, 1:] + noise)).log().sum(1)
    return -(right + wrong).mean(), z
