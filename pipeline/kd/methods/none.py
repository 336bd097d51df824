"""No teacher: the baseline of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.methods import base
from pipeline.kd.methods.base import Term

if TYPE_CHECKING:
    from torch import nn

    from pipeline.kd.methods.base import KDBatch


@dataclass(frozen=True, kw_only=True)
class Method(base.KDMethod):
    """No teacher; `weights` holds one number, which has no effect."""

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Return zero."""
        return Term(student=batch.logits.new_zeros(()))
