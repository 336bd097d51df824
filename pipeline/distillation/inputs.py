"""What a synthetic set is made from, and what it is made on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import CellError
from pipeline.distillation.distributed import Ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.core.records import RealSet
    from pipeline.coresets.rankings import Coreset
    from pipeline.models.model import NetworkPlugin
    from pipeline.training.bank import ExpertBank


@dataclass(frozen=True, kw_only=True)
class DistillInputs:
    """The training split, its rankings by selector, networks by name, and the bank of experts if one was given."""

    real: RealSet
    coresets: Mapping[str, Coreset]
    networks: Mapping[str, NetworkPlugin]
    bank: ExpertBank | None = None

    def require_experts(self, method: str) -> ExpertBank:
        """The bank; a CellError if there is none."""
        if self.bank is None:
            raise CellError(
                f"{method} works with a bank of experts and none was given; run `avdistill experts`, and add --experts"
            )
        return self.bank


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Nothing of this decides a result, but the kind of device does.

    Args:
        memory_mb: of the device, for the real set; a larger one stays where it is and is moved batch by batch.
        checkpoint: where the descent is kept on its way, and how often.
        report: called with (done, all, **figures).
    """

    device: torch.device
    report: Callable[..., None]
    memory_mb: float = 8192.0
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    ranks: Ranks = field(default_factory=Ranks)

    def needs_streaming(self, real: RealSet) -> bool:
        """Whether a real set is larger than what the device has for it."""
        return real.nbytes > self.memory_mb * 2**20
