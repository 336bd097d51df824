"""Herding with formation ("herding + factor" in AVDD's ablation, TMLR 2024): chosen samples, several of them in a stored instance.

Where dm and avdd start; so what lies between this row and theirs is what their steps do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.distillers._chosen import Chosen
from pipeline.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.distillers._chosen import Ranking
    from pipeline.records import Coreset, RealSet


@dataclass(frozen=True, kw_only=True)
class Distiller(Chosen):
    """`coreset`: whose ranking is taken."""

    coreset: str

    def ranking(self, real: RealSet, coresets: Mapping[str, Coreset], seed: int) -> Ranking:
        """The coreset's, whatever the seed."""
        return pick(coresets, self.coreset, "coreset").ranking
