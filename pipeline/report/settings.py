"""Section `report` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.params import NonNegativeInt


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Section `report`.

    Args:
        gallery: stored instances per class that the page shows of each method; 0 shows none.
        baseline: the method that the others are compared with.
        random: the method that selects at random, which IOR is measured from; null for no IOR.
        kd_baseline: the method of `teach` without a teacher, which stands first; null for none.
    """

    gallery: NonNegativeInt
    baseline: str
    random: str | None = None
    kd_baseline: str | None = None
