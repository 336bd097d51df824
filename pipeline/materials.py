"""What a synthetic set is made from, and what it is made on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pipeline.checkpoint import Checkpoint
from pipeline.errors import CellError
from pipeline.ranks import Ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from pipeline.bank import Bank
    from pipeline.rankings import Coreset
    from pipeline.records import Normalisation, RealSet, Rows
    from pipeline.training import Network


@dataclass(frozen=True, kw_only=True)
class Materials:
    """The training split, its rankings by selector, networks by name, and the bank of experts if one was given."""

    real: RealSet
    coresets: Mapping[str, Coreset]
    networks: Mapping[str, Network]
    bank: Bank | None = None

    def experts(self, method: str) -> Bank:
        """The bank; a CellError if there is none."""
        if self.bank is None:
            raise CellError(f"{method} works with a bank of experts and none was given; run `avdistill experts`, and add --experts")
        return self.bank


@dataclass(frozen=True, kw_only=True)
class Machine:
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

    def streams(self, real: RealSet) -> bool:
        """Whether a real set is larger than what the device has for it."""
        return real.nbytes > self.memory_mb * 2**20


class Resident:
    """A real set near the device: on it where it fits its budget, else left where it is, in its shards or in memory.

    Rows stay as they are stored (frames 8 bits, log-mels 16) and are normalised as they are taken. A CellError if the device
    has less memory than its budget says.
    """

    def __init__(self, real: RealSet, machine: Machine) -> None:
        self._real, self._device = real, machine.device
        self._rows: dict[str, Rows]
        try:
            self._rows = dict(real.rows) if machine.streams(real) else {m: rows.to(machine.device) for m, rows in real.rows.items()}
        except torch.OutOfMemoryError as error:
            told = f"{machine.device} has no room for the {real.nbytes / 2**20:.0f} MiB of the real set"
            raise CellError(f"{told}; give a lower --memory-mb, and it is streamed") from error

    def at(self, index: Tensor) -> dict[str, Tensor]:
        """Normalised float32 rows at an index, on the device."""
        return {m: self._taken(rows, index, self._real.normalisation[m]) for m, rows in self._rows.items()}

    def _taken(self, rows: Rows, index: Tensor, normalisation: Normalisation) -> Tensor:
        if isinstance(rows, torch.Tensor) and rows.is_cuda:
            from pipeline.gpu.taking import taken

            return taken(rows, index, normalisation)
        return normalisation.apply(rows[index].to(self._device))
