"""The ConvNet pair of AVDD (Kushwaha et al., TMLR 2024): blocks with instance norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pipeline.core.params import PositiveInt
from pipeline.core.plugins import pick
from pipeline.models.kernels import cpu
from pipeline.models.towers import GridPool, Towers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Network:
    """Blocks of [3 x 3 convolution, instance norm, ReLU, average pool 2], the last pool adaptive.

    Args:
        width: channels.
        depth: modality -> number of blocks.
        grid: side of the last pool, so there are width * grid^2 features.
        padding: modality -> padding of the first convolution; published: 1 for frames, 3 for
            log-mels (a quirk of DC).
    """

    width: PositiveInt
    depth: dict[str, PositiveInt]
    grid: PositiveInt
    padding: dict[str, PositiveInt]

    def build(self, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> Towers:
        """Build towers of width * grid^2 features each; see `NetworkPlugin.build`."""
        towers = {
            modality: self._build_tower(
                shape[-3],
                pick(self.depth, modality, "depth"),
                pick(self.padding, modality, "padding"),
            )
            for modality, shape in shapes.items()
        }
        return Towers(towers, shapes, generator)

    def _build_tower(self, channels: int, depth: int, padding: int) -> ConvTower:
        layers: list[nn.Module] = []
        for block in range(depth):
            first, last = block == 0, block == depth - 1
            layers += [
                nn.Conv2d(
                    channels if first else self.width,
                    self.width,
                    3,
                    padding=padding if first else 1,
                ),
                nn.GroupNorm(self.width, self.width),
                nn.ReLU(inplace=True),
                GridPool(self.grid) if last else HalvingPool(),
            ]
        return ConvTower(*layers)


class ConvTower(nn.Sequential):
    """Blocks of four layers, one after another."""

    def forward(self, x: Tensor) -> Tensor:
        """Rows [N, C, H, W] -> maps [N, width, grid, grid]."""
        run_block, layers = _select_block(x), list(self)
        for first in range(0, len(layers), 4):
            x = run_block(x, layers[first : first + 4])
        return x


def _select_block(x: Tensor) -> Callable[[Tensor, Sequence[nn.Module]], Tensor]:
    """Return the fastest way to run a block: fused on a CPU, and on a GPU under autocast."""
    if x.is_cpu and cpu.can_use_kernels():
        from pipeline.models.kernels.cpu import blocks as cpu_blocks

        return cpu_blocks.run_block
    if torch.is_autocast_enabled("cuda"):
        from pipeline.models.kernels.cuda import blocks as cuda_blocks

        return cuda_blocks.run_block
    return lambda x, layers: nn.Sequential(*layers)(x)


class HalvingPool(nn.Module):
    """Average pool 2 x 2, odd edges dropped.

    As sums of two views it runs 1.3 x faster on a CPU than AvgPool2d, gradients included.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H // 2, W // 2]."""
        high, wide = x.shape[-2] // 2, x.shape[-1] // 2
        pairs = x[..., : 2 * high, :].reshape(*x.shape[:-2], high, 2, x.shape[-1])
        rows = pairs[..., 0, :] + pairs[..., 1, :]
        pairs = rows[..., : 2 * wide].reshape(*rows.shape[:-1], wide, 2)
        return (pairs[..., 0] + pairs[..., 1]) * 0.25
