"""Linear maps of a student and a teacher into one space, which contrast compares them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pipeline.kd.methods._base import normalise_rows
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    import torch

    from pipeline.kd.methods._base import Widths


class ProjectionPair(nn.Module):
    """The student's features [n, D] and the teacher's vectors [n, D_t] -> unit vectors [n, width] of both."""

    def __init__(self, student: int, teacher: int, width: int) -> None:
        super().__init__()
        self.student, self.teacher = nn.Linear(student, width), nn.Linear(teacher, width)

    def forward(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        return normalise_rows(self.student(features)), normalise_rows(self.teacher(vectors))


def build_projections(widths: Widths, width: int, generator: torch.Generator) -> nn.ModuleDict:
    """A pair per teacher."""
    parts = nn.ModuleDict(
        {m: ProjectionPair(widths.student, wide, width) for m, wide in widths.teachers.items()}
    )
    init_(parts, generator)
    return parts
