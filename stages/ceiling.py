"""shards -> full-data upper bound"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params


def ceiling(
    shards: Path, out: Path, *, params: Params, device: str, workers: int, report: Any
) -> str:
    """Train the same students on the whole training split: the full-data upper bound of each row.

    OUT also says how large the splits are, what was left out of them, and their licence. Finished
    measurements are kept under .work and found again, while the splits, the protocol, the
    network, the head and the task stay the same.

    Example: avdistill ceiling data/generated/shards work/generated/ceiling.json
    """
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.evaluation import Ceiling
    from pipeline.evaluation.scoring import format_scores, score_real_set
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.shards.read import read_shards
    from pipeline.shards.summary import summarise_shards

    refuse_existing(out)
    setup, repeats = EvaluationSetup.from_params(params), params.build("ceiling", Ceiling).repeats
    train = read_shards(shards / "train")
    trainer = setup.make_trainer(setup.settings.run[0], device_of(device), workers, report)
    bench = setup.read_bench(shards, repeats, trainer)
    table = score_real_set(train, setup, bench, checkpoint_folder_of(out) / "scores")
    write_json(out, {**table.to_json(), "data": summarise_shards(shards)})
    write_seconds(out, table.seconds, trainer.device, trainer.threads)
    return "\n".join([*format_scores(table.entries), f"-> {out}"])
