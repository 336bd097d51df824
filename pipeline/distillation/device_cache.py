"""The real set on the device, if it fits; its rows are normalised as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pipeline.core.errors import CellError

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import Normalisation, RealSet, Rows
    from pipeline.distillation.inputs import Runtime


class DeviceCache:
    """The rows of a real set: on the device within its memory budget, else where they were.

    Rows keep their stored types (frames 8 bits, log-mels 16 bits).

    Args:
        real: the training split, in memory or in its shards.
        runtime: the device and its memory budget.

    Raises:
        CellError: the device has less memory than its budget says.
    """

    def __init__(self, real: RealSet, runtime: Runtime) -> None:
        self._real, self._device = real, runtime.device
        self._rows: dict[str, Rows]
        if runtime.needs_streaming(real):
            self._rows = dict(real.rows)
            return
        try:
            self._rows = {m: rows.to(runtime.device) for m, rows in real.rows.items()}
        except torch.OutOfMemoryError as error:
            raise CellError(
                f"{runtime.device} has no room for the {real.nbytes / 2**20:.0f} MiB of the real "
                "set; give a lower --memory-mb, and it is streamed"
            ) from error

    def gather(self, index: Tensor) -> dict[str, Tensor]:
        """Return rows by modality, on the device, normalised, float32.

        Args:
            index: row numbers, int64 [N], on the CPU.
        """
        return {
            m: self._gather_rows(rows, index, self._real.normalisation[m])
            for m, rows in self._rows.items()
        }

    def _gather_rows(self, rows: Rows, index: Tensor, normalisation: Normalisation) -> Tensor:
        if isinstance(rows, torch.Tensor) and rows.is_cuda:
            from pipeline.models.kernels.cuda.rows import take_rows

            return take_rows(rows, index, normalisation)
        return normalisation.apply(rows[index].to(self._device))
