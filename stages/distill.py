"""shards and rankings -> synthetic sets"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Distil the training split into IPC synthetic instances per class, one set per seed.

    METHOD is a section of `distill` in the params file, SHARDS the training split's folder, EXPERTS
    the output of `avdistill experts`, for methods that need it. If METHOD has several step sizes,
    protocol `budget` chooses on the validation split beside SHARDS. An interrupted run goes on from
    its last step. A split larger than --memory-mb is streamed from its shards. GPUs share the
    classes of dm, m3d, avdd, cross and jcf: `torchrun --nproc-per-node 4 -m stages distill ...`.
    --dry-run writes nothing and prints shapes, memory, runs, and a time estimate from a few steps.

    Example: avdistill distill dm 1 data/generated/shards/train work/generated/coreset work/dm
    """
    from pipeline.core.files import refuse_existing
    from pipeline.core.params import Grid
    from pipeline.distillation import dry_run as estimates
    from pipeline.distillation import run
    from pipeline.distillation.inputs import Runtime
    from pipeline.distillation.setup import read_cell

    ranks.broadcast(lambda: refuse_existing(out))
    runtime = Runtime(device=device_of(device), report=report, memory_mb=memory_mb, ranks=ranks)
    cell = read_cell(
        method, ipc, shards, coresets, experts, params=params, runtime=runtime, workers=workers
    )
    seeds = params.build("grid", Grid).seeds
    if dry_run:
        return estimates.describe(estimates.estimate(cell, seeds))
    trials, seconds = run.distil(cell, seeds, out, checkpoint_folder_of(out))
    ranks.broadcast(lambda: write_seconds(out, seconds, runtime.device, workers))
    return f"{run.summarise_cell(cell, seeds, trials)} -> {out}"
