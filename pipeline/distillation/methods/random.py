"""Random selection: real samples drawn for each class and seed, the lower baseline of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.core.rng import make_generator
from pipeline.distillation.methods._selection import Selection

if TYPE_CHECKING:
    from pipeline.coresets.rankings import Keys
    from pipeline.distillation.inputs import DistillInputs

TITLE = "Random selection"
# Laws that it breaks by design, see the contract of methods.
EXEMPT = {"order": "draws numbers of rows"}


@dataclass(frozen=True, kw_only=True)
class Distiller(Selection):
    """Parameters of random selection: those of `Selection`."""

    def select(self, inputs: DistillInputs, seed: int, count: int) -> Keys:
        """Return the first `count` samples of each class, in an order drawn from the seed."""
        real, result = inputs.real, {}
        for label, name in enumerate(real.classes):
            rows = real.indices_of(label)
            order = torch.randperm(len(rows), generator=make_generator("random", seed, label))
            result[name] = tuple(real.keys[row] for row in rows[order[:count]].tolist())
        return result
