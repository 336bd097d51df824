"""Scores of all that `evaluate.run` asks for; what was measured before, on the same inputs by the same code, is found again."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pipeline.core.plugins import pick
from pipeline.evaluation.texts import ScoreTexts, collect_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.evaluation import Bench, Measurement
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.training.instances import Instances


def score_sets(
    sets: Sequence[Instances],
    made_from: list[str],
    spent: int,
    setup: EvaluationSetup,
    bench: Bench,
    kept: Path,
) -> tuple[list[dict[str, Any]], float]:
    """One entry per measure, in their order, and the seconds that all of them took.

    Args:
        made_from: digests of the sets; `kept`: the folder of the scores that are found again.
    """
    from pipeline.core.files import digest_of, read_json, write_json

    entries, seconds = [], 0.0
    shared = [
        made_from,
        bench.val.digest,
        bench.test.digest,
        spent,
        bench.repeats,
        bench.bootstrap,
        str(bench.trainer.device),
    ]
    for measure in setup.settings.run:
        protocol, task = (
            getattr(setup.settings.protocols, measure.protocol),
            setup.tasks[measure.task],
        )
        trainer = replace(
            bench.trainer, network=setup.networks[measure.network], head=setup.heads[measure.head]
        )
        decides = [shared, asdict(measure), asdict(protocol), _digest_plugins(measure, task, setup)]
        path = kept / f"{digest_of(decides)[:32]}.json"
        if not path.exists():
            began = time.monotonic()
            scores = task.score(sets, protocol, spent, replace(bench, trainer=trainer))
            write_json(path, {"scores": scores.to_json(), "seconds": time.monotonic() - began})
        found = read_json(path, "evaluate")
        plain = _list_plain_metrics(measure, found["scores"]["metrics"], setup)
        entries.append({**asdict(measure), **found["scores"], **plain})
        seconds += found["seconds"]
    return entries, seconds


def _list_plain_metrics(
    measure: Measurement, metrics: Sequence[str], setup: EvaluationSetup
) -> dict[str, list[str]]:
    """Return `plain`: the metrics that are plain numbers, not fractions; nothing without any."""
    texts = ScoreTexts(tasks=collect_texts(setup.tasks), metrics=collect_texts(setup.metrics))
    plain = [name for name in metrics if not texts.get_metric(measure.task, name).percent]
    return {"plain": plain} if plain else {}


def _digest_plugins(measure: Measurement, task: Any, setup: EvaluationSetup) -> str:
    """Return the digest of the values and the code of every plugin that a measure uses.

    Args:
        task: may name several `networks` to try.
    """
    from pipeline.core.code import digest_code
    from pipeline.core.files import digest_of

    networks = (measure.network, *getattr(task, "networks", ()))
    used = {
        "networks": {name: pick(setup.networks, name, "network") for name in networks},
        "head": {measure.head: setup.heads[measure.head]},
        "task": {measure.task: task},
        "metrics": setup.metrics,
    }
    plugins = [plugin for named in used.values() for plugin in named.values()]
    values = {
        kind: {name: asdict(plugin) for name, plugin in named.items()}
        for kind, named in used.items()
    }
    return digest_of([digest_code([__name__], [setup, *plugins]), values])


def format_scores(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per entry and metric: each view's mean, spread and interval."""
    from pipeline.core.scores import find_plain_metrics, format_score

    lines = []
    for entry in entries:
        name = " ".join(entry[key] for key in ("protocol", "network", "head", "task"))
        for metric, views in entry["metrics"].items():
            plain = metric in find_plain_metrics(entry)
            cells = [f"{view} {format_score(x, plain=plain)}" for view, x in views.items()]
            lines.append(
                f"{name} {metric}: {'  '.join(cells)}  (n = {next(iter(views.values()))['n']})"
            )
    return lines
