"""AVDD with soft labels of the experts: an ablation that parts the worth of rows and of labels.

At one step size the rows are those of avdd. Then each piece gets the experts' label of the piece
as it is stored, see soft_labels.py; students learn it when the step size is chosen, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import PositiveFloat
from pipeline.distillation.methods import avdd
from pipeline.distillation.soft_labels import add_soft_labels

if TYPE_CHECKING:
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.distillation.optimise import DistillResult

TITLE = "AVDD with soft labels of experts"
PAPER = "https://openreview.net/forum?id=IJlbuSrXmk"


@dataclass(frozen=True, kw_only=True)
class Distiller(avdd.Distiller):
    """Parameters of avdd with soft labels; see avdd for the others.

    Args:
        temperature: modality -> temperature of its labels; None keeps the class.
    """

    temperature: dict[str, PositiveFloat | None]

    def distill(
        self, inputs: DistillInputs, *, ipc: int, seed: int, runtime: Runtime
    ) -> DistillResult:
        """Return avdd's set with soft labels.

        Raises:
            CellError: there is no bank, or it was trained on other data.
        """
        bank = inputs.require_experts("avdd_labelled")
        result = super().distill(inputs, ipc=ipc, seed=seed, runtime=runtime)
        labelled = add_soft_labels(
            result.synthetic, bank, inputs.real, self.temperature, runtime.device
        )
        return replace(result, synthetic=labelled)
