"""shards and rankings -> synthetic sets"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._bench import Means
from stages._machine import checkpoints_beside
from stages._seconds import write_seconds

if TYPE_CHECKING:
    from pipeline.params import Params
    from pipeline.records import Coreset


def distill(
    method: str, ipc: int, shards: Path, coresets: Path, out: Path, *, params: Params, device: str, workers: int, report: Any
) -> str:
    """Distil the training split into IPC synthetic instances per class, one set for each of grid.seeds.

    SHARDS is the training split's folder. Where METHOD has several candidate step sizes, the one rule of protocol `budget`
    chooses among them on the validation split beside it. Finished seeds survive an interruption. The time that it took goes to
    OUT's sibling .seconds.json.

    Example: avdistill distill dm 1 data/generated/shards/train work/generated/coreset work/generated/dm/ipc1/synthetic
    """
    from pipeline import cells, plugins
    from pipeline.evaluation import refuse_absent_classes
    from pipeline.files import refuse_existing
    from pipeline.params import Grid
    from pipeline.shards import read_shards

    refuse_existing(out)
    distiller = params.build(f"distill.{method}", plugins.find("distillers", method))
    means, real, val = Means.of(params), read_shards(shards), read_shards(shards.parent / "val")
    refuse_absent_classes(val, "val")
    cell = cells.Cell(
        method=method,
        distiller=distiller,
        ipc=ipc,
        real=real,
        coresets=_coresets(coresets),
        networks=means.networks,
        budget=means.settings.protocols.budget,
        crew=means.crew(means.settings.run[0], device, workers, report),
        val=val,
        report=report,
    )
    seeds = params.build("grid", Grid).seeds
    trials, seconds = cells.distil(cell, seeds, out, checkpoints_beside(out))
    write_seconds(out, seconds, cell.crew)
    chosen = f", step size chosen among {len(trials)}" if trials else ""
    return f"{method}: {len(seeds)} sets of {len(real.classes)} classes x {ipc}{chosen} -> {out}"


def _coresets(folder: Path) -> dict[str, Coreset]:
    from pipeline.files import read_json
    from pipeline.records import Coreset

    return {path.stem: Coreset.from_json(read_json(path, "coreset")) for path in sorted(folder.glob("*.json"))}
