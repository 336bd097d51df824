"""artifacts and shards -> scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params


def evaluate(
    artifact: Path,
    shards: Path,
    out: Path,
    *,
    params: Params,
    device: str,
    workers: int,
    report: Any,
) -> str:
    """Train students on exported artifacts and score them on real windows, as evaluate.run says.

    ARTIFACT is a file, or a folder of seed<k>.h5. SHARDS is the folder above val and test. Every
    choice is made on val. Finished measurements are kept under .work and found again. The time goes
    to OUT's sibling .seconds.json.

    Example: avdistill evaluate work/artifacts data/generated/shards work/scores.json
    """
    from pipeline.artifact import list_artifacts, read_artifact
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.distillation.feasibility import read_skipped
    from pipeline.evaluation.scoring import format_scores, score_artifacts
    from pipeline.evaluation.setup import EvaluationSetup

    refuse_existing(out)
    if reason := read_skipped(artifact):
        write_json(out, {"skipped": reason})
        write_seconds(out, 0.0, device_of(device), workers)
        return f"skipped: {reason} -> {out}"
    artifacts = {file: read_artifact(file).synthetic for file in list_artifacts(artifact)}
    setup = EvaluationSetup.from_params(params)
    trainer = setup.make_trainer(setup.settings.run[0], device_of(device), workers, report)
    bench = setup.read_bench(shards, setup.settings.repeats, trainer)
    table = score_artifacts(artifacts, setup, bench, checkpoint_folder_of(out) / "scores")
    write_json(out, table.to_json())
    write_seconds(out, table.seconds, trainer.device, trainer.threads)
    return "\n".join([*format_scores(table.entries), f"-> {out}"])
