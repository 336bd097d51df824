"""Herding with formation ("herding + factor" in AVDD's ablation, TMLR 2024): chosen samples, several of them in a stored instance.

Where dm and avdd start; so what lies between this row and theirs is what their steps do.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.distillation.methods._selection import Ranked


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """`coreset`: whose ranking is taken."""

    coreset: str
