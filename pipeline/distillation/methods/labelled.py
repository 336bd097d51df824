"""Labelled pieces: a coreset's best samples in formation, as `formed` has them, with the experts' labels; nothing is optimised.

Labels are of the whole samples that pieces were made from (pipeline/labels.py). What `jcf` is without its matching and its choice
of formations, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import PositiveFloat
from pipeline.distillation.methods._selection import CoresetSelection
from pipeline.distillation.soft_labels import add_soft_labels

if TYPE_CHECKING:
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult


@dataclass(frozen=True, kw_only=True)
class Distiller(CoresetSelection):
    """See `CoresetSelection`; `temperature`: modality -> of its labels, higher is softer."""

    temperature: dict[str, PositiveFloat]

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """What it begins with, labelled.

        Raises:
            CellError: there is no bank, or it is of other data.
        """
        result = super().distill(inputs, ipc=ipc, seed=seed, runtime=runtime)
        bank, made = inputs.require_experts("labelled"), result.synthetic
        soft = add_soft_labels(
            made, bank, inputs.real, self.temperature, runtime.device, still=tuple(made.rows)
        )
        return replace(result, synthetic=soft)
