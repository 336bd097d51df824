"""No teacher: the row that every other one is read against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kd.methods import _base as _method
from pipeline.kd.methods._base import Term

if TYPE_CHECKING:
    from torch import nn

    from pipeline.kd.methods._base import KDBatch


@dataclass(frozen=True, kw_only=True)
class Method(_method.KDMethod):
    """`weights` holds one number, which weighs nothing."""

    def term(self, parts: nn.ModuleDict, batch: KDBatch) -> Term:
        """Zero."""
        return Term(student=batch.logits.new_zeros(()))
