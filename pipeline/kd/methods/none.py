"""No teacher: the baseline of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.method import KDMethod, Term

if TYPE_CHECKING:
    from torch import nn

    from pipeline.kd.method import KDBatch

TITLE = "No teacher"


@dataclass(frozen=True, kw_only=True)
class Method(KDMethod):
    """No teacher; `weights` holds one number, which has no effect."""

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return zero."""
        return Term(student_loss=batch.logits.new_zeros(()))
