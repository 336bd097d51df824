"""TODO from pipeline/materials.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pipeline.core.errors import CellError
from pipeline.distillation.inputs import Runtime

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import Normalisation, RealSet, Rows


class DeviceCache:
    """A real set near the device: on it where it fits its budget, else left where it is, in its shards or in memory.

    Rows stay as they are stored (frames 8 bits, log-mels 16) and are normalised as they are taken. A CellError if the device
    has less memory than its budget says.
    """

    def __init__(self, real: RealSet, runtime: Runtime) -> None:
        self._real, self._device = real, runtime.device
        self._rows: dict[str, Rows]
        try:
            self._rows = (
                dict(real.rows)
                if runtime.needs_streaming(real)
                else {m: rows.to(runtime.device) for m, rows in real.rows.items()}
            )
        except torch.OutOfMemoryError as error:
            told = f"{runtime.device} has no room for the {real.nbytes / 2**20:.0f} MiB of the real set"
            raise CellError(f"{told}; give a lower --memory-mb, and it is streamed") from error

    def gather(self, index: Tensor) -> dict[str, Tensor]:
        """Normalised float32 rows at an index, on the device."""
        return {
            m: self._gather_rows(rows, index, self._real.normalisation[m])
            for m, rows in self._rows.items()
        }

    def _gather_rows(self, rows: Rows, index: Tensor, normalisation: Normalisation) -> Tensor:
        if isinstance(rows, torch.Tensor) and rows.is_cuda:
            from pipeline.models.kernels.cuda.rows import take_rows

            return take_rows(rows, index, normalisation)
        return normalisation.apply(rows[index].to(self._device))
