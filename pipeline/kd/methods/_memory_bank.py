"""Contrast against a memory of the whole training set: noise-contrastive estimation over banks that follow the embeds slowly.

Formulas of CRD (Tian et al., ICLR 2020, on Wu et al., CVPR 2018): with h = exp(cosine / T) / Z the loss of an anchor is
-log h+ / (h+ + K/N) - sum over K negatives of log (K/N) / (h- + K/N). Z is N times the mean of the first batch, and then fixed.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from pipeline.core.params import NonNegativeInt, PositiveFloat, PositiveInt, UnitInterval
from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import Term, normalise_rows
from pipeline.kd.methods._projections import ProjectionPair
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    from pipeline.kd.methods._base import KDBatch, Kept, Widths

SIDES = ("student", "teacher")


class MemoryBank(nn.Module):
    """Embeds of a student and a teacher, and for either side the embeds that each training row had when it was seen last.

    `of_student`, `of_teacher`: [N, width]; `z_student`, `z_teacher`: the Z of anchors of that side, [1], 0 before the first batch.

    Args:
        label: of every training row, int64 [N].
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
        """A bank or a Z, which no gradient reaches."""
        return self.get_buffer(name).detach()


@dataclass(frozen=True, kw_only=True)
class MemoryContrast(_method.KDMethod):
    """Both sides' embeds against the other side's memory.

    Args:
        width: of the common space, published: 128.
        temperature: published: 0.07.
        momentum: share of the old embeds in a row's new ones, published: 0.5.
        negatives: K of each row, drawn with replacement, published: 16384.
    """

    width: PositiveInt
    temperature: PositiveFloat
    momentum: UnitInterval
    negatives: NonNegativeInt

    @abstractmethod
    def weigh_negatives(self, label: Tensor, of_row: Tensor) -> Tensor:
        """Labels [n] of a batch and [N] of the set -> float [n, N], how likely each row is drawn as a negative of each."""

    def build(self, widths: Widths, generator: torch.Generator) -> nn.ModuleDict:
        """A memory per teacher."""
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
        """The mean over teachers of both directions' sum."""
        losses: list[Tensor] = []
        kept: Kept = {}
        for modality, vectors in batch.teachers.items():
            memory = cast("MemoryBank", parts[modality])
            index = self._draw_candidates(memory, batch)
            for side, other, anchor in zip(
                SIDES, SIDES[::-1], memory.embeds(batch.features, vectors), strict=True
            ):
                bank, z = (
                    memory.get_detached_buffer(f"of_{other}"),
                    memory.get_detached_buffer(f"z_{side}"),
                )
                loss, fixed = nce_loss(anchor, bank[index], z, len(bank), self.temperature)
                losses.append(loss)
                old = memory.get_detached_buffer(f"of_{side}")[batch.rows]
                new = normalise_rows(self.momentum * old + (1 - self.momentum) * anchor.detach())
                kept[f"{modality}.of_{side}"] = (batch.rows, new)
                kept[f"{modality}.z_{side}"] = (torch.zeros_like(batch.rows[:1]), fixed)
        return Term(student=torch.stack(losses).sum() / len(batch.teachers), kept=kept)

    def _draw_candidates(self, memory: MemoryBank, batch: KDBatch) -> Tensor:
        """int64 [n, 1 + K]: each row's own number, and those of its negatives."""
        likely = self.weigh_negatives(batch.label.cpu(), memory.label)
        drawn = torch.multinomial(
            likely, self.negatives, replacement=True, generator=batch.generator
        )
        return torch.cat([batch.rows[:, None], drawn.to(batch.rows.device)], 1)


def nce_loss(
    anchor: Tensor, candidates: Tensor, z: Tensor, rows: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Anchors [n, D] against candidates [n, 1 + K, D], the own one first: the loss, a mean over rows, and Z, [1].

    Args:
        z: 0 if this is the first batch; `rows`: N, of the training set.
    """
    raw = (candidates @ anchor[..., None]).squeeze(2).div(temperature).exp()
    z = torch.where(z > 0, z, raw.detach().mean() * rows)
    h = raw / z
    noise = (candidates.shape[1] - 1) / rows
    right = (h[:, 0] / (h[:, 0] + noise)).log()
    wrong = (noise / (h[:, 1:] + noise)).log().sum(1)
    return -(right + wrong).mean(), z
