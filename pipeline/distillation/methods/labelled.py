"""Labelled pieces: a coreset's best samples in formation, as `formed` has them, with the experts' labels; nothing is optimised.

Labels are of the whole samples that pieces were made from (pipeline/labels.py). What `jcf` is without its matching and its choice
of formations, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.params import Positive
from pipeline.distillation.methods._selection import Ranked
from pipeline.distillation.soft_labels import labelled

if TYPE_CHECKING:
    from pipeline.distillation.inputs import Machine, Materials
    from pipeline.distillation.optimise import Outcome


@dataclass(frozen=True, kw_only=True)
class Distiller(Ranked):
    """See `Ranked`; `temperature`: modality -> of its labels, higher is softer."""

    temperature: dict[str, Positive]

    def distill(self, materials: Materials, *, ipc: int, seed: int, machine: Machine) -> Outcome:
        """What it begins with, labelled.

        Raises:
            CellError: there is no bank, or it is of other data.
        """
        outcome = super().distill(materials, ipc=ipc, seed=seed, machine=machine)
        bank, made = materials.experts("labelled"), outcome.synthetic
        soft = labelled(
            made, bank, materials.real, self.temperature, machine.device, still=tuple(made.rows)
        )
        return replace(outcome, synthetic=soft)
