"""TODO from stages/distill.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.setup import Means

if TYPE_CHECKING:
    from pipeline.core.records import RealSet
    from pipeline.distillation.inputs import Machine, Materials
    from pipeline.distillation.run import Cell
    from pipeline.training.students import Crew


def _cell(
    method: str,
    distiller: Any,
    ipc: int,
    materials: Materials,
    machine: Machine,
    means: Means,
    crew: Crew,
    val: RealSet,
) -> Cell:
    from pipeline.distillation.run import Cell

    budget = means.settings.protocols.budget
    return Cell(
        method=method,
        distiller=distiller,
        ipc=ipc,
        materials=materials,
        machine=machine,
        budget=budget,
        crew=crew,
        val=val,
    )


def _validation(shards: Path) -> RealSet:
    from pipeline.evaluation import refuse_absent_classes
    from pipeline.shards.read import read_shards

    val = read_shards(shards)
    refuse_absent_classes(val, "val")
    return val


def _materials(shards: Path, coresets: Path, experts: Path | None, means: Means) -> Materials:
    from pipeline.core.files import read_json
    from pipeline.coresets.rankings import Coreset
    from pipeline.distillation.inputs import Materials
    from pipeline.shards.mapped import map_shards
    from pipeline.training.bank import read_bank

    return Materials(
        real=map_shards(shards),
        coresets={
            path.stem: Coreset.from_json(read_json(path, "coreset"))
            for path in sorted(coresets.glob("*.json"))
        },
        networks=means.networks,
        bank=read_bank(experts, means.networks, means.heads) if experts else None,
    )
