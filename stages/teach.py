"""training set and teachers' vectors -> students and their scores"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._runtime import checkpoint_folder_of, device_of, write_seconds

if TYPE_CHECKING:
    from pipeline.core.params import Params


def teach(
    method: str,
    train_set: Path,
    features: Path,
    out: Path,
    *,
    shards: Path | None = None,
    ipc: int = 0,
    params: Params,
    device: str,
    report: Any,
) -> str:
    """Train a student per seed with METHOD, a section of `kd`; `none` has no teacher.

    TRAIN_SET is the training split's folder, a ranking of `avdistill coreset` with --ipc, or an
    artifact; for the last two --shards names the folder above train, val and test. FEATURES is a
    table of `avdistill extract` or a folder of them; teach.teachers names their modalities, and
    students that read vectors need those of each split. Every choice is made on val. OUT gets the
    scores, its siblings .seed<k>.safetensors the students. A run resumes where it ended.

    Example: avdistill teach ccl data/d/shards/train work/d/features.h5 work/d/taught/ccl.json
    """
    from pipeline.core.files import refuse_existing
    from pipeline.core.params import Grid
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd import results, train_and_evaluate
    from pipeline.kd.setup import KDInputs, make_cache, read_run

    refuse_existing(out)
    runtime = Runtime(device=device_of(device), report=report)
    seeds = params.build("grid", Grid).seeds
    inputs = KDInputs(train_set=train_set, features=features, shards=shards, ipc=ipc)
    run = read_run(method, inputs, params, runtime.device)
    cache = make_cache(checkpoint_folder_of(out), method, run, seeds, runtime.device)
    start = time.monotonic()
    result = train_and_evaluate(run, seeds, runtime, cache)
    results.write_result(out, method, run, result)
    write_seconds(out, time.monotonic() - start, runtime.device)
    cache.remove()
    return "\n".join([*results.format_result(method, run, result), f"-> {out}"])
