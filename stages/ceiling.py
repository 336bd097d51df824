"""shards -> upper bound"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def ceiling(shards: Path, out: Path, *, params: Params, device: str, report: Any) -> str:
    """Train the same students on the whole training split: the bound that every row of a table is read against.

    Example: avdistill ceiling data/generated/shards work/generated/ceiling.json
    """
    from dataclasses import replace

    from pipeline import training
    from pipeline.evaluation import Ceiling
    from pipeline.files import refuse_existing, write_json
    from pipeline.shards import read_shards
    from stages._bench import bench_of
    from stages._scores import lines_of, scored

    refuse_existing(out)
    repeats = params.build("ceiling", Ceiling).repeats
    train = read_shards(shards / "train")
    protocols, bench = bench_of(shards, params, device, report)
    scores = scored([training.whole(train)], protocols, 0, params, replace(bench, repeats=repeats))
    write_json(
        out, {"classes": len(train.classes), "train_windows": len(train), "test_windows": len(bench.test), "protocols": scores}
    )
    return "\n".join([*lines_of(scores), f"-> {out}"])
