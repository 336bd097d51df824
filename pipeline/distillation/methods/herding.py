"""Herding (Welling, ICML 2009; class by class as in iCaRL, Rebuffi et al., CVPR 2017): the best real samples of the ranking."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.distillation.methods._selection import Ranked


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """See `Ranked`."""

    coreset = "herding"
