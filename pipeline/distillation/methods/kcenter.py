"""k-center greedy (Sener & Savarese, ICLR 2018; class by class): the real samples that leave no other far from all of them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.distillation.methods._selection import Ranked


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """See `Ranked`."""

    coreset = "kcenter"
