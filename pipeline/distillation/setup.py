"""A cell of the grid, from the params file and the folders of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core import plugins
from pipeline.core.files import read_json
from pipeline.core.paths import list_folder, to_path
from pipeline.coresets.rankings import Coreset
from pipeline.distillation.inputs import DistillInputs, Runtime
from pipeline.distillation.run import DistillCell
from pipeline.evaluation import refuse_absent_classes
from pipeline.evaluation.setup import EvaluationSetup
from pipeline.shards.index import read_index
from pipeline.shards.mapped import map_shards
from pipeline.shards.read import read_shards
from pipeline.training.bank import read_bank

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.params import Params
    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet


def read_cell(
    method: str,
    ipc: int,
    shards: AnyPath,
    coresets: AnyPath,
    experts: AnyPath | None,
    params: Params,
    runtime: Runtime,
    workers: int,
) -> DistillCell:
    """Read everything that a cell is made from.

    Args:
        method: section of `distill` in params.yaml.
        ipc: instances per class.
        shards: the training split's folder; the validation split lies beside it.
        coresets: the folder of rankings, <selector>.json.
        experts: the folder of the bank, for methods that need one.
        params: the params file.
        runtime: the device, memory and ranks.
        workers: students trained at once on a CPU, for the choice of a step size.

    Example:
        cell = read_cell("dm", 1, shards / "train", coresets, None, params, runtime, workers=1)
    """
    shards, coresets = to_path(shards), to_path(coresets)
    experts = to_path(experts) if experts else None
    setup = EvaluationSetup.from_params(params)
    headline = setup.settings.run[0]
    return DistillCell(
        method=method,
        distiller=plugins.build("method", method, params),
        ipc=ipc,
        inputs=_read_inputs(shards, coresets, experts, setup),
        runtime=runtime,
        budget=setup.settings.protocols.budget,
        trainer=setup.make_trainer(headline, runtime.device, workers, runtime.report),
        val=_read_validation_set(shards.parent / "val"),
    )


def _read_validation_set(shards: Path) -> RealSet | None:
    """Return the split; None if it is absent or empty, as methods without a choice need none."""
    if not shards.exists() or not any(shard.samples for shard in read_index(shards).shards):
        return None
    val = read_shards(shards)
    refuse_absent_classes(val, "val")
    return val


def _read_inputs(
    shards: Path, coresets: Path, experts: Path | None, setup: EvaluationSetup
) -> DistillInputs:
    return DistillInputs(
        real=map_shards(shards),
        coresets={
            path.stem: Coreset.from_json(read_json(path, "coreset"))
            for path in list_folder(coresets, "*.json")
        },
        networks=setup.networks,
        bank=read_bank(experts, setup.networks, setup.heads) if experts else None,
    )
