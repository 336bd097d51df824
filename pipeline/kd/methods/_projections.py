"""Linear projections of a student and a teacher into a common space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pipeline.kd.method import normalise_rows
from pipeline.models.initialisation import init_

if TYPE_CHECKING:
    import torch

    from pipeline.kd.method import Widths


class ProjectionPair(nn.Module):
    """Two linear maps, from the student's features and the teacher's vectors.

    Args:
        student: features of the student.
        teacher: features of the teacher.
        width: of the common space.
    """

    def __init__(self, student: int, teacher: int, width: int) -> None:
        super().__init__()
        self.student, self.teacher = nn.Linear(student, width), nn.Linear(teacher, width)

    def forward(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors [n, width] of both sides.

        Args:
            features: of the student, [n, D].
            vectors: of the teacher, [n, D_t].
        """
        return normalise_rows(self.student(features)), normalise_rows(self.teacher(vectors))


def build_projections(widths: Widths, width: int, generator: torch.Generator) -> nn.ModuleDict:
    """Build a pair per teacher.

    Args:
        widths: of student and teachers.
        width: of the common space.
        generator: draws the weights.
    """
    parts = nn.ModuleDict(
        {m: ProjectionPair(widths.student, wide, width) for m, wide in widths.teachers.items()}
    )
    init_(parts, generator)
    return parts
