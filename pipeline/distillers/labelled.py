"""Labelled pieces: a coreset's best samples in formation, as `formed` has them, with the experts' labels; nothing is optimised.

Labels are of the whole samples that pieces were made from (pipeline/labels.py). What `jcf` is without its matching and its choice
of formations, in seconds.
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
        bank, made = materials.experts("labelled"), outcome.synthetic
        soft = labelled(made, bank, materials.real, self.temperature, machine.device, still=tuple(made.rows))
        return replace(outcome, synthetic=soft)
