"""Select the best samples of a coreset; nothing is optimised.

Rows of params.yaml: `herding`, `kcenter` and `kmeans` store whole samples. `formed` stores a grid
of samples ("herding + factor" in AVDD's ablation, TMLR 2024); dm and avdd start there, so that row
shows the gain of their steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.distillation.methods._selection import CoresetSelection

TITLE = "Coreset selection"
ROWS = {
    "herding": ("Herding", "https://doi.org/10.1145/1553374.1553517"),
    "formed": (
        "Herding, several samples to an instance",
        "https://doi.org/10.1145/1553374.1553517",
    ),
    "kcenter": ("k-center greedy", "https://arxiv.org/abs/1708.00489"),
    "kmeans": ("Medoids of k-means", "https://arxiv.org/abs/2207.09639"),
}


@dataclass(frozen=True, kw_only=True)
class Distiller(CoresetSelection):
    """Parameters of a coreset row: those of `CoresetSelection`."""
