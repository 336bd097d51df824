"""Rows at an index, normalised on a GPU in one pass.

Stored bytes are read once, float32 values are written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
from torch import Tensor

from pipeline.models.kernels.cuda import _kernels

if TYPE_CHECKING:
    from pipeline.core.records import Normalisation

TILE = 4096


def take_rows(rows: Tensor, index: Tensor, normalisation: Normalisation) -> Tensor:
    """Return normalised rows float32 [B, ..., C, H, W], on the device of the stored rows.

    Args:
        rows: stored rows [N, ..., C, H, W] of any dtype, on a GPU.
        index: int64 [B], on the CPU.
        normalisation: the modality's.
    """
    channels, pixels = rows.shape[-3], rows.shape[-2] * rows.shape[-1]
    planes = rows[0].numel() // pixels
    # Not waited for: such a small copy is started before the call returns.
    index_there = index.to(rows.device, non_blocking=True)
    affine = torch.tensor(normalisation.affine).to(rows.device, non_blocking=True)
    out = torch.empty((len(index), *rows.shape[1:]), dtype=torch.float32, device=rows.device)
    grid = (len(index) * planes, triton.cdiv(pixels, TILE))
    _kernels.take[grid](
        rows.contiguous(), index_there, affine, out, planes, pixels, CHANNELS=channels, TILE=TILE
    )
    return out
