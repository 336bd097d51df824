"""shards and rankings -> synthetic sets"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def distill(method: str, ipc: int, shards: Path, coresets: Path, out: Path, *, params: Params, device: str, report: Any) -> str:
    """Distil the training split into IPC synthetic instances per class, one set for each of grid.seeds.

    SHARDS is the training split's folder. Where METHOD has several candidate step sizes, the one rule of protocol `budget`
    chooses among them on the validation split beside it. Finished seeds survive an interruption.

    Example: avdistill distill dm 1 data/generated/shards/train work/generated/coreset work/generated/dm/ipc1/synthetic
    """
    from pipeline import cells, plugins
    from pipeline.files import read_json, refuse_existing
    from pipeline.params import Grid
    from pipeline.records import Coreset
    from pipeline.shards import read_shards
    from stages._bench import bench_of
    from stages._machine import checkpoints_beside
    from stages._plugins import every

    refuse_existing(out)
    distiller = params.build(f"distill.{method}", plugins.find("distillers", method))
    real = read_shards(shards)
    protocols, bench = bench_of(shards.parent, params, device, report, test="val")
    cell = cells.Cell(
        method=method,
        distiller=distiller,
        ipc=ipc,
        real=real,
        coresets={path.stem: Coreset.from_json(read_json(path, "coreset")) for path in sorted(coresets.glob("*.json"))},
        networks=every("networks", params),
        budget=protocols.budget,
        bench=bench,
        report=report,
    )
    seeds = params.build("grid", Grid).seeds
    trials = cells.distil(cell, seeds, out, checkpoints_beside(out))
    chosen = f", step size chosen among {len(trials)}" if trials else ""
    return f"{method}: {len(seeds)} sets of {len(real.classes)} classes x {ipc}{chosen} -> {out}"
