"""Scores as files hold them, and how one of them is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of students on the test split, under one protocol and on one task.

    Args:
        metrics: metric -> view (a, v, av, a->v, ...) -> mean, std (population), n, low, high.
            low and high are a 95 % bootstrap interval, None where there is none.
        chosen: the recipe that the validation split chose.
        trials: every validation run behind that choice.
        runs: one entry per (set, student): each metric of each view.
        details: more that some tasks have: right windows per clip, confusion matrices.
    """

    metrics: dict[str, dict[str, dict[str, float | None]]]
    chosen: dict[str, Any]
    trials: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and beside them the items of `details`."""
        names = ("metrics", "chosen", "trials", "runs")
        return {**{name: getattr(self, name) for name in names}, **self.details}


def find_plain_metrics(entry: Mapping[str, Any]) -> set[str]:
    """Return the metrics of an entry that are plain numbers; all others are fractions.

    Files written before 0.2 do not list them. There a metric above 1 in some
    view is a plain number.

    Args:
        entry: one of the list `scores` in a file of scores or an artifact.
    """
    if "plain" in entry:
        return set(entry["plain"])
    return {
        metric
        for metric, views in entry["metrics"].items()
        if any(summary["mean"] > 1 for summary in views.values())
    }


def format_score(summary: Mapping[str, float | None], *, plain: bool = False) -> str:
    """Return "mean ± std [low, high]", the interval where there is one.

    Args:
        summary: mean, std, low and high.
        plain: whether it is a plain number; a fraction is written in percent.
    """
    scale = 1 if plain else 100
    mean, std, low, high = (
        scale * value if (value := summary[name]) is not None else None
        for name in ("mean", "std", "low", "high")
    )
    return f"{mean:.1f} ± {std:.1f}" + (f" [{low:.1f}, {high:.1f}]" if low is not None else "")
