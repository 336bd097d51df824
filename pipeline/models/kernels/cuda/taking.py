"""Rows at an index, normalised as they are taken, on a GPU: stored bytes are read once and float32 values written once."""

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
    """Stored rows [N, ..., C, H, W] at an index [B] of the CPU -> normalised float32 [B, ..., C, H, W], on the rows' device."""
    channels, pixels = rows.shape[-3], rows.shape[-2] * rows.shape[-1]
    planes = rows[0].numel() // pixels
    # Not waited for: a copy of so few numbers is on its way before the call returns.
    there = index.to(rows.device, non_blocking=True)
    affine = torch.tensor(normalisation.affine).to(rows.device, non_blocking=True)
    out = torch.empty((len(index), *rows.shape[1:]), dtype=torch.float32, device=rows.device)
    grid = (len(index) * planes, triton.cdiv(pixels, TILE))
    _kernels.take[grid](
        rows.contiguous(), there, affine, out, planes, pixels, CHANNELS=channels, TILE=TILE
    )
    return out
