"""TODO from stages/distill.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.setup import EvaluationSetup

if TYPE_CHECKING:
    from pipeline.core.records import RealSet
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.run import DistillCell
    from pipeline.training.students import StudentTrainer


def _make_cell(
    method: str,
    distiller: Any,
    ipc: int,
    inputs: DistillInputs,
    runtime: Runtime,
    setup: EvaluationSetup,
    trainer: StudentTrainer,
    val: RealSet,
) -> DistillCell:
    from pipeline.distillation.run import DistillCell

    budget = setup.settings.protocols.budget
    return DistillCell(
        method=method,
        distiller=distiller,
        ipc=ipc,
        inputs=inputs,
        runtime=runtime,
        budget=budget,
        trainer=trainer,
        val=val,
    )


def _read_validation(shards: Path) -> RealSet:
    from pipeline.evaluation import refuse_absent_classes
    from pipeline.shards.read import read_shards

    val = read_shards(shards)
    refuse_absent_classes(val, "val")
    return val


def _read_inputs(
    shards: Path, coresets: Path, experts: Path | None, setup: EvaluationSetup
) -> DistillInputs:
    from pipeline.core.files import read_json
    from pipeline.coresets.rankings import Coreset
    from pipeline.distillation.inputs import DistillInputs
    from pipeline.shards.mapped import map_shards
    from pipeline.training.bank import read_bank

    return DistillInputs(
        real=map_shards(shards),
        coresets={
            path.stem: Coreset.from_json(read_json(path, "coreset"))
            for path in sorted(coresets.glob("*.json"))
        },
        networks=setup.networks,
        bank=read_bank(experts, setup.networks, setup.heads) if experts else None,
    )
