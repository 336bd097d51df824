"""shards and rankings -> synthetic sets"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.params import Grid
from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.distillation.distributed import Ranks


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
    """Distil the training split SHARDS into IPC instances per class, a set for each of grid.seeds.

    METHOD is a row of `distill`, made by one of {methods}. The validation split beside SHARDS
    decides between its step sizes. EXPERTS, from `avdistill experts`, is for methods that need it.
    An interrupted run resumes. A split larger than --memory-mb stays in its shards. GPUs share the
    classes if METHOD can be split: `torchrun -m stages distill ...`. --dry-run only estimates.

    Example: avdistill distill dm 1 data/generated/shards/train work/generated/coreset work/dm
    """
    from pipeline.core.files import refuse_existing
    from pipeline.distillation import dry_run as estimates
    from pipeline.distillation import run
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.setup import read_cell

    ranks.broadcast(lambda: refuse_existing(out))
    runtime = Runtime(device=device_of(device), report=report, memory_mb=memory_mb, ranks=ranks)
    cell = read_cell(method, ipc, shards, coresets, experts, params, runtime, workers)
    grid = params.build("grid", Grid)
    if dry_run:
        return estimates.describe(estimates.estimate(cell, grid.seeds))
    message, seconds = run.distil_or_skip(cell, grid, out, checkpoint_folder_of(out))
    ranks.broadcast(lambda: write_seconds(out, seconds, runtime.device, workers))
    return f"{message} -> {out}"
