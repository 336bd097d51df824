"""shards -> upper bound"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoints_beside, device_of, write_seconds

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
    from pipeline.evaluation import Ceiling, Plane
    from pipeline.evaluation.scoring import lines_of, scored
    from pipeline.evaluation.setup import Means
    from pipeline.shards.read import read_shards
    from pipeline.training import instances as training

    refuse_existing(out)
    means, repeats = Means.of(params), params.build("ceiling", Ceiling).repeats
    train = read_shards(shards / "train")
    crew = means.crew(means.settings.run[0], device_of(device), workers, report)
    bench = means.bench(shards, repeats, crew)
    sets = [training.whole(train, crew.device)]
    points = Plane.through(bench.test, crew.network).points(training.whole(bench.test, crew.device))
    entries, seconds = scored(
        sets, [train.digest], 0, means, bench, checkpoints_beside(out) / "scores"
    )
    about = {
        "classes": train.classes,
        "train_windows": len(train),
        "test_windows": len(bench.test),
        "test_clips": len(set(bench.test.clips)),
        "projection": points,
    }
    write_json(out, {**about, "scores": entries})
    write_seconds(out, seconds, crew.device, crew.threads)
    return "\n".join([*lines_of(entries), f"-> {out}"])
