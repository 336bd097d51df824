"""shards -> upper bound"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params


def ceiling(
    shards: Path, out: Path, *, params: Params, device: str, workers: int, report: Any
) -> str:
    """Train the same students on the whole training split: the bound that every row of a table is read against.

    It is computed once for the same splits, protocol, network, head and task, and found again by their digest under .work.

    Example: avdistill ceiling data/generated/shards work/generated/ceiling.json
    """
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.evaluation import Ceiling, PCAProjection
    from pipeline.evaluation.scoring import format_scores, score_sets
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.shards.read import read_shards
    from pipeline.training import instances as training

    refuse_existing(out)
    setup, repeats = EvaluationSetup.from_params(params), params.build("ceiling", Ceiling).repeats
    train = read_shards(shards / "train")
    trainer = setup.make_trainer(setup.settings.run[0], device_of(device), workers, report)
    bench = setup.make_bench(shards, repeats, trainer)
    sets = [training.wrap_real_set(train, trainer.device)]
    points = PCAProjection.fit(bench.test, trainer.network).project(
        training.wrap_real_set(bench.test, trainer.device)
    )
    entries, seconds = score_sets(
        sets, [train.digest], 0, setup, bench, checkpoint_folder_of(out) / "scores"
    )
    about = {
        "classes": train.classes,
        "train_windows": len(train),
        "test_windows": len(bench.test),
        "test_clips": len(set(bench.test.clips)),
        "projection": points,
    }
    write_json(out, {**about, "scores": entries})
    write_seconds(out, seconds, trainer.device, trainer.threads)
    return "\n".join([*format_scores(entries), f"-> {out}"])
