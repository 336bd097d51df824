"""Scores under each protocol that the params ask for, and their lines on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.evaluation import Bench, Protocols
    from pipeline.params import Params
    from pipeline.training import Instances


def scored(sets: Sequence[Instances], protocols: Protocols, spent: int, params: Params, bench: Bench) -> dict[str, Any]:
    """protocol -> scores in JSON form, for each of evaluate.run."""
    from pipeline.evaluation import score
    from pipeline.plugins import pick

    known = {name: getattr(protocols, name) for name in protocols.__dataclass_fields__}
    chosen = params.section("evaluate")["run"]
    protocols_by_name = {name: pick(known, name, "protocol") for name in chosen}  # all are known before one is run
    return {name: score(sets, protocol, spent, bench).to_json() for name, protocol in protocols_by_name.items()}


def lines_of(scores: Mapping[str, Any]) -> list[str]:
    """One line per protocol and metric: each view's mean, spread and interval, in percent."""
    from pipeline.records import percent

    lines = []
    for protocol, score in scores.items():
        for metric, views in score["metrics"].items():
            cells = [f"{view} {percent(x)}" for view, x in views.items()]
            lines.append(f"{protocol} {metric}: {'  '.join(cells)}  (n = {next(iter(views.values()))['n']})")
    return lines
