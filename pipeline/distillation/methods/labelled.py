"""Labelled pieces: a coreset's best samples in formation, as `formed` has them, with the experts' labels; nothing is optimised.

Labels are of the whole samples that pieces were made from (pipeline/labels.py). What `jcf` is without its matching and its choice
of formations, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import Positive
from pipeline.distillation.methods._selection import CoresetSelection
from pipeline.distillation.soft_labels import add_soft_labels

if TYPE_CHECKING:
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult


@dataclass(frozen=True, kw_only=True)
class Distiller(CoresetSelection):
    """See `CoresetSelection`; `temperature`: modality -> of its labels, higher is softer."""

    temperature: dict[str, Positive]

    def distill(
        self, materials: DistillInputs, *, ipc: int, seed: int, machine: Runtime
    ) -> DistillResult:
        """What it begins with, labelled.

        Raises:
            CellError: there is no bank, or it is of other data.
        """
        outcome = super().distill(materials, ipc=ipc, seed=seed, machine=machine)
        bank, made = materials.require_experts("labelled"), outcome.synthetic
        soft = add_soft_labels(
            made, bank, materials.real, self.temperature, machine.device, still=tuple(made.rows)
        )
        return replace(outcome, synthetic=soft)
