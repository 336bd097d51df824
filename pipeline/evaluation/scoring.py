"""Scores of all measurements of `evaluate.run`; a measurement is cached by its inputs and code."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core import code, files, tensors
from pipeline.core.paths import to_path
from pipeline.core.plugins import pick
from pipeline.core.scores import find_plain_metrics, format_score
from pipeline.evaluation.checks import refuse_other_data
from pipeline.evaluation.projection import PCAProjection
from pipeline.evaluation.texts import ScoreTexts, collect_texts
from pipeline.training import instances

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.evaluation.bench import Bench, Measurement
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.training.instances import Instances

# Instances that are measured at once; and the standard deviation over a channel, in units of that
# of the training data, below which an instance shows or sounds nothing.
CHUNK, LEAST_CONTRAST = 256, 0.05


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The content of a scores file.

    Args:
        about: JSON values: the data that were scored.
        entries: one per measurement, in the order of evaluate.run.
        seconds: that all measurements took, cached ones included.
    """

    about: dict[str, Any]
    entries: list[dict[str, Any]]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the scores file."""
        return {**self.about, "scores": self.entries}


def score_artifacts(
    artifacts: Mapping[Path, SyntheticSet], setup: EvaluationSetup, bench: Bench, cache: AnyPath
) -> ScoreTable:
    """Score the sets of some artifacts, which differ in their seed.

    Args:
        artifacts: file -> its set.
        setup: the measurements.
        bench: the real splits and the headline's trainer.
        cache: the folder of cached measurements.

    Raises:
        ArtifactError: an artifact does not fit the shards.
    """
    cache = to_path(cache)
    sets = {file.name: synthetic for file, synthetic in artifacts.items()}
    for name, synthetic in sets.items():
        refuse_other_data(synthetic, bench.test, name)
    trainer = bench.trainer
    data = [instances.decode_synthetic_set(one, trainer.device) for one in sets.values()]
    first = next(iter(sets.values()))
    points = PCAProjection.fit(bench.test, trainer.network).project(data[0])
    digests = [digest_training_data(synthetic) for synthetic in sets.values()]
    spent = len(first.provenance.get("tuning", ()))
    entries, seconds = score_sets(data, digests, spent, setup, bench, cache)
    about = {
        "artifacts": {name: one.provenance["content_digest"] for name, one in sets.items()},
        "bytes": next(iter(artifacts)).stat().st_size,
        "classes": bench.test.classes,
        "projection": points,
        "blank": count_blank(dict(zip(sets, data, strict=True))),
        **_describe_evaluation(setup, bench),
    }
    return ScoreTable(about=about, entries=entries, seconds=seconds)


def score_real_set(
    train: RealSet, setup: EvaluationSetup, bench: Bench, cache: AnyPath
) -> ScoreTable:
    """Score the whole training split: the full-data upper bound.

    Args:
        train: the training split.
        setup: the measurements.
        bench: the real splits and the headline's trainer.
        cache: the folder of cached measurements.
    """
    cache = to_path(cache)
    data, trainer = instances.wrap_real_set(train, bench.trainer.device), bench.trainer
    test = instances.wrap_real_set(bench.test, trainer.device)
    points = PCAProjection.fit(bench.test, trainer.network).project(test)
    entries, seconds = score_sets([data], [train.digest], 0, setup, bench, cache)
    about = {
        "classes": train.classes,
        "train_windows": len(train),
        "projection": points,
        **_describe_evaluation(setup, bench),
    }
    return ScoreTable(about=about, entries=entries, seconds=seconds)


def _describe_evaluation(setup: EvaluationSetup, bench: Bench) -> dict[str, Any]:
    """Return the size of the test split, and the params and the splits behind the scores."""
    return {
        "test_windows": len(bench.test),
        "test_clips": len(set(bench.test.clips)),
        "evaluation": {"params": setup.params, "val": bench.val.digest, "test": bench.test.digest},
    }


def score_sets(
    sets: Sequence[Instances],
    digests: Sequence[str],
    spent: int,
    setup: EvaluationSetup,
    bench: Bench,
    cache: AnyPath,
) -> tuple[list[dict[str, Any]], float]:
    """Score some sets by every measurement of `evaluate.run`.

    Args:
        sets: the instances of each set.
        digests: of the sets.
        spent: validation trials that the choice of the distiller's step size took.
        setup: the measurements.
        bench: the real splits.
        cache: the folder of cached measurements.

    Returns:
        One entry per measurement, and the seconds that all of them took.
    """
    cache = to_path(cache)
    entries, seconds = [], 0.0
    for measurement in setup.settings.run:
        digest = _digest_measurement(measurement, digests, spent, setup, bench)
        path = cache / f"{digest[:32]}.json"
        if not path.exists():
            start = time.monotonic()
            scores = _score_measurement(measurement, sets, spent, setup, bench)
            files.write_json(path, {"scores": scores, "seconds": time.monotonic() - start})
        result = files.read_json(path, "evaluate")
        plain = _list_plain_metrics(measurement, result["scores"]["metrics"], setup)
        entries.append({**asdict(measurement), **result["scores"], **plain})
        seconds += result["seconds"]
    return entries, seconds


def _score_measurement(
    measurement: Measurement,
    sets: Sequence[Instances],
    spent: int,
    setup: EvaluationSetup,
    bench: Bench,
) -> dict[str, Any]:
    trainer = replace(
        bench.trainer,
        network=setup.networks[measurement.network],
        head=setup.heads[measurement.head],
    )
    protocol = getattr(setup.settings.protocols, measurement.protocol)
    task = setup.tasks[measurement.task]
    scores: dict[str, Any] = task.score(
        sets, protocol, spent, replace(bench, trainer=trainer)
    ).to_json()
    return scores


def _digest_measurement(
    measurement: Measurement,
    digests: Sequence[str],
    spent: int,
    setup: EvaluationSetup,
    bench: Bench,
) -> str:
    """Return a digest of everything that decides the scores of a measurement."""
    data = [list(digests), bench.val.digest, bench.test.digest, spent]
    shared = [*data, bench.repeats, bench.bootstrap, str(bench.trainer.device)]
    protocol = asdict(getattr(setup.settings.protocols, measurement.protocol))
    plugins = _digest_plugins(measurement, setup)
    return files.digest_of([shared, asdict(measurement), protocol, plugins])


def _digest_plugins(measurement: Measurement, setup: EvaluationSetup) -> str:
    """Return the digest of the values and the code of every plugin that a measurement uses."""
    task = setup.tasks[measurement.task]
    # A task that tries several networks names them.
    networks = (measurement.network, *getattr(task, "networks", ()))
    used = {
        "networks": {name: pick(setup.networks, name, "network") for name in networks},
        "head": {measurement.head: setup.heads[measurement.head]},
        "task": {measurement.task: task},
        "metrics": setup.metrics,
    }
    plugins = [plugin for named in used.values() for plugin in named.values()]
    values = {
        kind: {name: asdict(plugin) for name, plugin in named.items()}
        for kind, named in used.items()
    }
    return files.digest_of([code.digest_code([__name__], [setup, *plugins]), values])


def _list_plain_metrics(
    measurement: Measurement, metrics: Sequence[str], setup: EvaluationSetup
) -> dict[str, list[str]]:
    """Return `plain`: the metrics that are plain numbers, not fractions; nothing without any."""
    texts = ScoreTexts(tasks=collect_texts(setup.tasks), metrics=collect_texts(setup.metrics))
    plain = [name for name in metrics if not texts.get_metric(measurement.task, name).percent]
    return {"plain": plain} if plain else {}


def count_blank(sets: Mapping[str, Instances]) -> dict[str, dict[str, list[int]]]:
    """Return name -> modality -> [instances without any contrast, all instances].

    A second of silence has none, nor has a picture of one colour. Sets and modalities without such
    instances are left out.

    Args:
        sets: name -> instances.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for name, data in sets.items():
        counts = dict.fromkeys(data.shapes, 0)
        for first in range(0, len(data.label), CHUNK):
            index = torch.arange(first, min(first + CHUNK, len(data.label)))
            for modality, rows in data.take(index).items():
                planes = rows.flatten(-2) if rows.dim() > 3 else rows
                contrast = planes.float().std(-1).reshape(len(index), -1).amax(1)
                counts[modality] += int((contrast < LEAST_CONTRAST).sum())
        blank = {m: [count, len(data.label)] for m, count in counts.items() if count}
        found |= {name: blank} if blank else {}
    return found


def digest_training_data(synthetic: SyntheticSet) -> str:
    """Return a digest of a set's training data, without its provenance.

    So a changed licence does not discard cached scores.

    Args:
        synthetic: the set.
    """
    units = {m: asdict(normalisation) for m, normalisation in synthetic.normalisation.items()}
    return files.digest_of(
        [tensors.digest(synthetic.columns), synthetic.classes, synthetic.formation, units]
    )


def format_scores(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per entry and metric: each view's mean, deviation and interval.

    Args:
        entries: of a scores file.
    """
    lines = []
    for entry in entries:
        name = " ".join(entry[key] for key in ("protocol", "network", "head", "task"))
        for metric, views in entry["metrics"].items():
            plain = metric in find_plain_metrics(entry)
            scores = [f"{view} {format_score(x, plain=plain)}" for view, x in views.items()]
            runs = next(iter(views.values()))["n"]
            lines.append(f"{name} {metric}: {'  '.join(scores)}  (n = {runs})")
    return lines
