"""Labelled pieces: herding's samples in formation, as `formed` has them, with the experts' labels; nothing is optimised.

What `jcf` is without its matching, in seconds. Soft labels: pipeline/labels.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.distillers._chosen import Ranked
from pipeline.labels import labelled
from pipeline.params import Positive

if TYPE_CHECKING:
    from pipeline.descent import Outcome
    from pipeline.materials import Machine, Materials


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """See `Ranked`; `temperature`: modality -> of its labels, higher is softer."""

    coreset: str
    temperature: dict[str, Positive]

    def distill(self, materials: Materials, *, ipc: int, seed: int, machine: Machine) -> Outcome:
        """What it begins with, labelled.

        Raises:
            CellError: there is no bank, or it is of other data.
        """
        outcome = super().distill(materials, ipc=ipc, seed=seed, machine=machine)
        bank = materials.experts("labelled")
        return replace(outcome, synthetic=labelled(outcome.synthetic, bank, materials.real, self.temperature, machine.device))
