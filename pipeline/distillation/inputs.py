"""The data that a synthetic set is made from, and the device and services it is made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pipeline.core.checkpoints import Checkpoint
from pipeline.core.errors import CellError
from pipeline.distillation.distributed import Ranks
from pipeline.shards.machine import measure_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.core.records import RealSet
    from pipeline.coresets.rankings import Coreset
    from pipeline.models.model import NetworkPlugin
    from pipeline.training.bank import ExpertBank


@dataclass(frozen=True, kw_only=True)
class DistillInputs:
    """The data that a synthetic set is made from.

    Args:
        real: the training split.
        coresets: selector -> its ranking of the training split.
        networks: the networks of params.yaml, by name.
        bank: the trained experts, if they were given.
    """

    real: RealSet
    coresets: Mapping[str, Coreset]
    networks: Mapping[str, NetworkPlugin]
    bank: ExpertBank | None = None

    def require_experts(self, method: str) -> ExpertBank:
        """Return the bank of experts.

        Args:
            method: the method that needs it, for the message.

        Raises:
            CellError: no bank was given.
        """
        if self.bank is None:
            raise CellError(
                f"{method} works with a bank of experts and none was given; "
                "run `avdistill experts`, and add --experts"
            )
        return self.bank


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The device and the services of a run; only the kind of device can change a result.

    Args:
        device: where rows are optimised.
        report: called with (done, total, **figures) after each step.
        memory_mb: MiB of the device for the real set; a larger set is streamed batch by batch.
        checkpoint: where the unfinished run is saved, and how often.
        ranks: the processes that share the classes.
    """

    device: torch.device
    report: Callable[..., None]
    memory_mb: float = 8192.0
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    ranks: Ranks = field(default_factory=Ranks)

    def needs_streaming(self, real: RealSet) -> bool:
        """Return whether a real set is larger than `room_mb`.

        Args:
            real: the training split.
        """
        return real.nbytes > self.room_mb * 2**20

    @property
    def room_mb(self) -> float:
        """MiB for the real set: `memory_mb`, on a CPU at most half of the usable memory."""
        if self.device.type != "cpu":
            return self.memory_mb
        return min(self.memory_mb, measure_memory() / 2)
