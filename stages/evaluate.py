"""artifacts and shards -> scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def evaluate(artifact: Path, shards: Path, out: Path, *, params: Params, device: str, report: Any) -> str:
    """Train students from scratch on exported artifacts and test them on real windows, under each protocol of evaluate.run.

    ARTIFACT is a file or a folder of seed<k>.h5, SHARDS the folder above train, val and test. Every choice is made on val.

    Example: avdistill evaluate work/generated/dm/ipc1/artifacts data/generated/shards work/generated/dm/ipc1/scores.json
    """
    from pipeline import evaluation, training
    from pipeline.artifact import artifacts_in, read_artifact
    from pipeline.files import refuse_existing, write_json
    from stages._bench import bench_of
    from stages._scores import lines_of, scored

    refuse_existing(out)
    files = artifacts_in(artifact)
    sets = {file.name: read_artifact(file) for file in files}
    protocols, bench = bench_of(shards, params, device, report)
    for name, synthetic in sets.items():
        evaluation.refuse_other_data(synthetic, bench.test, name)
    spent = len(next(iter(sets.values())).provenance.get("tuning", ()))
    scores = scored([training.decoded(synthetic) for synthetic in sets.values()], protocols, spent, params, bench)
    about = {
        "artifacts": {file.name: sets[file.name].provenance["content_digest"] for file in files},
        "bytes": files[0].stat().st_size,
    }
    write_json(out, {**about, "classes": len(bench.test.classes), "test_windows": len(bench.test), "protocols": scores})
    return "\n".join([*lines_of(scores), f"-> {out}"])
