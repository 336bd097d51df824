"""TODO from pipeline/records.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What students reached on the test split, under one protocol and on one task.

    Args:
        metrics: metric -> view (a, v, av, a->v, ...) -> mean, std (population), n, low, high: the interval is a 95 % bootstrap,
            None where there is none.
        chosen: what the validation split decided; `trials`: every validation run behind that choice.
        runs: one entry per (set, student): each metric of each view.
        details: more that only some tasks have: right windows per clip, confusions.
    """

    metrics: dict[str, dict[str, dict[str, float | None]]]
    chosen: dict[str, Any]
    trials: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        parts = {
            "metrics": self.metrics,
            "chosen": self.chosen,
            "trials": self.trials,
            "runs": self.runs,
        }
        return {**parts, **self.details}


# Metrics that are numbers of their own, not shares.
NUMBERS = ("median rank", "gallery")


def format_score(metric: str, summary: Mapping[str, float | None]) -> str:
    """A score's mean, spread and, if there is one, its interval; in percent, unless the metric is a number of its own."""
    scale = 1 if metric in NUMBERS else 100
    mean, std, low, high = (
        scale * value if (value := summary[name]) is not None else None
        for name in ("mean", "std", "low", "high")
    )
    return f"{mean:.1f} ± {std:.1f}" + (f" [{low:.1f}, {high:.1f}]" if low is not None else "")
