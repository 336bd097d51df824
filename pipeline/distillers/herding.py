"""Herding (Welling, ICML 2009; class by class as in iCaRL, Rebuffi et al., CVPR 2017): the best real samples of the ranking."""

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
    """See `Chosen`; the ranking does not depend on the seed, so all seeds give one set."""

    def ranking(self, real: RealSet, coresets: Mapping[str, Coreset], seed: int) -> Ranking:
        """The herding selector's ranking."""
        return pick(coresets, "herding", "coreset").ranking
