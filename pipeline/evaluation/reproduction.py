"""Reproduce the scores of an artifact with the protocol that it carries."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.core.errors import ArtifactError
from pipeline.core.params import from_values
from pipeline.core.paths import to_path
from pipeline.evaluation.checks import refuse_other_data
from pipeline.evaluation.scoring import score_sets
from pipeline.evaluation.setup import EvaluationSetup
from pipeline.training import instances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

    from pipeline.artifact import Artifact
    from pipeline.core.paths import AnyPath


def reproduce_scores(
    file: AnyPath, shards: AnyPath, device: torch.device, workers: int, report: Any
) -> list[str]:
    """Train students on an artifact again and compare their scores with those in the file.

    Args:
        file: the artifact.
        shards: the folder above val and test.
        device: where students are trained.
        workers: students trained at once on a CPU.
        report: called with (done, total) after each student.

    Returns:
        One line per metric and view: the score in the file, the new one with its interval, and the
        verdict.

    Raises:
        ArtifactError: the file carries no scores with their protocol.
    """
    file, shards = to_path(file), to_path(shards)
    artifact = read_artifact(file)
    evaluation = _read_evaluation(file, artifact)
    params = from_values(evaluation["params"], f"{file.name}: evaluation")
    setup = EvaluationSetup.from_params(params)
    trainer = setup.make_trainer(setup.settings.run[0], device, workers, report)
    bench = setup.read_bench(shards, setup.settings.repeats, trainer)
    refuse_other_data(artifact.synthetic, bench.test, file.name)
    sets = [instances.decode_synthetic_set(artifact.synthetic, trainer.device)]
    digests, spent = [artifact.about["content_digest"]], len(artifact.about.get("tuning", ()))
    with tempfile.TemporaryDirectory() as folder:
        entries, _ = score_sets(sets, digests, spent, setup, bench, Path(folder))
    lines = [f"{file}: score in the file | score of new students [95 % interval]"]
    if evaluation["test"] != bench.test.digest:
        lines.append("note: these are other test windows than those behind the scores in the file")
    for old, new in zip(artifact.about["scores"], entries, strict=True):
        lines += _compare(old, new)
    return lines


def _read_evaluation(file: Path, artifact: Artifact) -> dict[str, Any]:
    """Return the protocol behind an artifact's scores."""
    evaluation, scores = artifact.about.get("evaluation"), artifact.about.get("scores")
    if (
        not scores
        or not isinstance(evaluation, dict)
        or not {"params", "test"} <= evaluation.keys()
    ):
        raise ArtifactError(
            f"{file} carries no scores with their protocol; "
            "`avdistill evaluate` it, then `avdistill publish`"
        )
    return evaluation


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield a verdict per metric and view: does the file's mean lie in the new interval?"""
    name = " ".join(new[key] for key in ("protocol", "network", "head", "task"))
    for metric, views in old.get("own", {}).items():
        for view, mean in views.items():
            score = new["metrics"][metric][view]
            low, high = score["low"], score["high"]
            interval = "" if low is None else f" [{_to_percent(low)}, {_to_percent(high)}]"
            is_within = low is not None and low <= mean <= high
            verdict = "reproduced" if is_within else "not within the interval"
            yield (
                f"  {name} {metric} {view}: {_to_percent(mean)} | "
                f"{_to_percent(score['mean'])}{interval}  {verdict}"
            )


def _to_percent(share: float) -> str:
    return f"{100 * share:.1f}"
