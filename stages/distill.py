"""shards and rankings -> synthetic sets"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.core.params import Params
    from pipeline.distillation.distributed import Ranks
    from pipeline.distillation.run import DistillCell


def distill(
    method: str,
    ipc: int,
    shards: Path,
    coresets: Path,
    out: Path,
    *,
    experts: Path | None = None,
    dry_run: bool = False,
    params: Params,
    device: str,
    memory_mb: int,
    workers: int,
    report: Any,
    ranks: Ranks,
) -> str:
    """Distil the training split into IPC synthetic instances per class, one set for each of grid.seeds.

    SHARDS is the training split's folder. Where METHOD has several candidate step sizes, the rule of protocol `budget` chooses on
    the validation split beside it. EXPERTS is what `avdistill experts` wrote, for the methods that need it. An interrupted run
    goes on from its last step; its time goes to OUT's sibling .seconds.json. A training split larger than --memory-mb stays in its
    shards. GPUs share the classes of dm, m3d, avdd, cross and jcf: `torchrun --nproc-per-node 4 -m stages distill ...`.
    --dry-run writes nothing: it tells shapes, memory, descents, and the time that a few real steps foretell.

    Example: avdistill distill dm 1 data/generated/shards/train work/generated/coreset work/generated/dm/ipc1/synthetic
    """
    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing
    from pipeline.core.params import Grid
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.setup import _make_cell, _read_inputs, _read_validation
    from pipeline.evaluation.setup import EvaluationSetup

    ranks.broadcast(lambda: refuse_existing(out))
    distiller, setup = plugins.build("method", method, params), EvaluationSetup.from_params(params)
    trainer = setup.make_trainer(setup.settings.run[0], device_of(device), workers, report)
    runtime = Runtime(device=trainer.device, report=report, memory_mb=memory_mb, ranks=ranks)
    inputs, val = (
        _read_inputs(shards, coresets, experts, setup),
        _read_validation(shards.parent / "val"),
    )
    cell = _make_cell(method, distiller, ipc, inputs, runtime, setup, trainer, val)
    seeds = params.build("grid", Grid).seeds
    return _estimate_cost(cell, seeds) if dry_run else _distill_sets(cell, seeds, out)


def _estimate_cost(cell: DistillCell, seeds: Sequence[int]) -> str:
    from pipeline.distillation.dry_run import describe, estimate

    return describe(estimate(cell, seeds))


def _distill_sets(cell: DistillCell, seeds: Sequence[int], out: Path) -> str:
    from pipeline.distillation import run as cells

    real, runtime = cell.inputs.real, cell.runtime
    trials, seconds = cells.distil(cell, seeds, out, checkpoint_folder_of(out))
    runtime.ranks.broadcast(
        lambda: write_seconds(out, seconds, cell.trainer.device, cell.trainer.threads)
    )
    told = f"{cell.method}: {len(seeds)} sets of {len(cell.val.classes)} classes x {cell.ipc}"
    told += f", step size chosen among {len(trials)}" if trials else ""
    told += (
        f", {real.nbytes / 2**20:.1f} MiB of real samples streamed from their shards"
        if runtime.needs_streaming(real)
        else ""
    )
    return f"{told} -> {out}"
