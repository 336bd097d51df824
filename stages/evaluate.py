"""artifacts and shards -> scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.core.records import SyntheticSet


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
    """Train students from scratch on exported artifacts and measure them on real windows, as evaluate.run says.

    ARTIFACT is a file or a folder of seed<k>.h5, SHARDS the folder above train, val and test. Every choice is made on val. What
    was measured already is found again under .work; the time that it took goes to OUT's sibling .seconds.json.

    Example: avdistill evaluate work/generated/dm/ipc1/artifacts data/generated/shards work/generated/dm/ipc1/scores.json
    """
    from pipeline.artifact import list_artifacts, read_artifact
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.evaluation import PCAProjection, refuse_other_data
    from pipeline.evaluation.scoring import format_scores, score_sets
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.training import instances as training

    refuse_existing(out)
    files = list_artifacts(artifact)
    synthetic = {file.name: read_artifact(file).synthetic for file in files}
    setup = EvaluationSetup.from_params(params)
    trainer = setup.make_trainer(setup.settings.run[0], device_of(device), workers, report)
    bench = setup.make_bench(shards, setup.settings.repeats, trainer)
    for name, one in synthetic.items():
        refuse_other_data(one, bench.test, name)
    digests = {name: one.provenance["content_digest"] for name, one in synthetic.items()}
    sets = [training.decode_synthetic_set(one, trainer.device) for one in synthetic.values()]
    spent = len(next(iter(synthetic.values())).provenance.get("tuning", ()))
    points = PCAProjection.fit(bench.test, trainer.network).project(sets[0])
    made_from = [_digest_training_data(one) for one in synthetic.values()]
    entries, seconds = score_sets(
        sets, made_from, spent, setup, bench, checkpoint_folder_of(out) / "scores"
    )
    about = {
        "artifacts": digests,
        "bytes": files[0].stat().st_size,
        "classes": bench.test.classes,
        "test_windows": len(bench.test),
        "projection": points,
        "evaluation": {"params": setup.params, "val": bench.val.digest, "test": bench.test.digest},
    }
    write_json(out, {**about, "scores": entries})
    write_seconds(out, seconds, trainer.device, trainer.threads)
    return "\n".join([*format_scores(entries), f"-> {out}"])


def _digest_training_data(synthetic: SyntheticSet) -> str:
    """Digest of what students are taught, without what is told about it: where only a licence changes, scores are found again."""
    from dataclasses import asdict

    from pipeline.core import tensors
    from pipeline.core.files import digest_of

    units = {
        modality: asdict(normalisation)
        for modality, normalisation in synthetic.normalisation.items()
    }
    return digest_of(
        [tensors.digest(synthetic.columns), synthetic.classes, synthetic.formation, units]
    )
