"""Score an artifact anew, by the protocol that it carries, beside the scores that it carries."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.scoring import score_sets
from pipeline.evaluation.setup import EvaluationSetup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

    from pipeline.artifact import Artifact


def reproduce_scores(
    file: Path, shards: Path, device: torch.device, workers: int, report: Any
) -> list[str]:
    """One line per metric and view: the score in the file, the new one with its interval, and the verdict.

    Raises:
        ArtifactError: the file carries no scores with their protocol.
    """
    from pipeline.artifact import read_artifact
    from pipeline.core.params import from_values
    from pipeline.evaluation import refuse_other_data
    from pipeline.training import instances as training

    artifact = read_artifact(file)
    known = _read_evaluation(file, artifact)
    synthetic = artifact.synthetic
    setup = EvaluationSetup.from_params(from_values(known["params"], f"{file.name}: evaluation"))
    trainer = setup.make_trainer(setup.settings.run[0], device, workers, report)
    bench = setup.make_bench(shards, setup.settings.repeats, trainer)
    refuse_other_data(synthetic, bench.test, file.name)
    digest, spent = artifact.about["content_digest"], len(artifact.about.get("tuning", ()))
    with tempfile.TemporaryDirectory() as place:
        entries, _ = score_sets(
            [training.decode_synthetic_set(synthetic, trainer.device)],
            [digest],
            spent,
            setup,
            bench,
            Path(place),
        )
    note = (
        []
        if known["test"] == bench.test.digest
        else ["note: these are other test windows than those behind the scores in the file"]
    )
    lines = [
        line
        for old, new in zip(artifact.about["scores"], entries, strict=True)
        for line in _compare(old, new)
    ]
    return [f"{file}: in the file | taught anew [95 % interval]", *note, *lines]


def _read_evaluation(file: Path, artifact: Artifact) -> dict[str, Any]:
    from pipeline.core.errors import ArtifactError

    known = artifact.about.get("evaluation")
    if (
        not artifact.about.get("scores")
        or not isinstance(known, dict)
        or not {"params", "test"} <= known.keys()
    ):
        raise ArtifactError(
            f"{file} carries no scores with their protocol; `avdistill evaluate` it, then `avdistill publish`"
        )
    return known


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A verdict per metric and view: whether the file's own mean lies in the interval of the new students."""
    name = " ".join(new[key] for key in ("protocol", "network", "head", "task"))
    for metric, views in old.get("own", {}).items():
        for view, mean in views.items():
            found = new["metrics"][metric][view]
            low, high = found["low"], found["high"]
            ends = "" if low is None else f" [{_format_percent(low)}, {_format_percent(high)}]"
            verdict = (
                "reproduced"
                if low is not None and low <= mean <= high
                else "not within the interval"
            )
            yield f"  {name} {metric} {view}: {_format_percent(mean)} | {_format_percent(found['mean'])}{ends}  {verdict}"


def _format_percent(share: float) -> str:
    return f"{100 * share:.1f}"
