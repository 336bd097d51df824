"""Labelled pieces: the best samples of a coreset, formed as in `formed`, with experts' labels.

Nothing is optimised. Labels are those of the whole samples that pieces were made from, see
soft_labels.py. It is `jcf` without its matching and its choice of formations, and takes seconds.
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

TITLE = "Labelled pieces of a coreset"


@dataclass(frozen=True, kw_only=True)
class Distiller(CoresetSelection):
    """Parameters of labelled pieces; see `CoresetSelection` for the others.

    Args:
        temperature: modality -> temperature of its labels; higher is softer.
    """

    temperature: dict[str, PositiveFloat]

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Return the start with soft labels.

        Raises:
            CellError: there is no bank, or it was trained on other data.
        """
        result = super().distill(inputs, ipc=ipc, seed=seed, runtime=runtime)
        labelled = add_soft_labels(
            result.synthetic,
            inputs.require_experts("labelled"),
            inputs.real,
            self.temperature,
            runtime.device,
            unchanged=tuple(result.synthetic.rows),
        )
        return replace(result, synthetic=labelled)
