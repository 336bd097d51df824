"""CPU milliseconds of the ConvNet's towers by kernels, beside layer by layer.

    python benchmarks/blocks.py [--pixels 32 56 112] [--rows 32] [--rounds 5]

Rows that are read, rows that move (distillation) and networks that learn (students); the two sides
alternate.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from distill_step import Setting, machine

from pipeline.models.kernels.cpu import disable_kernels
from pipeline.models.networks.convnet import Network
from stages._runtime import device_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.nn import Module


def read(tower: Module, x: Tensor) -> None:
    with torch.no_grad():
        tower(x)


def moved(tower: Module, x: Tensor) -> None:
    """Gradients of the rows alone."""
    tower.requires_grad_(False)
    tower(x.requires_grad_()).sum().backward()


def learned(tower: Module, x: Tensor) -> None:
    """Gradients of the weights alone."""
    tower.requires_grad_()
    tower(x).sum().backward()


def main() -> None:
    """A line for each size, modality and work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, nargs="+", default=[32, 56, 112])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device_of("cpu")
    print(
        f"{machine('cpu')}, {given.threads} threads, {given.rows} rows, "
        f"medians of {given.rounds} pairs"
    )
    print(
        "\n| pixels | modality | work | kernels ms | layers ms | layers / kernels |\n"
        "|---|---|---|---|---|---|"
    )
    for pixels in given.pixels:
        setting = Setting(pixels=pixels, ipc=1, method="dm", steps=1, threads=given.threads)
        towers = (
            Network(**setting.network)
            .build(setting.shapes, torch.Generator().manual_seed(0))
            .towers
        )
        for modality, shape in setting.shapes.items():
            x = torch.randn(given.rows, *shape[-3:])
            for work in (read, moved, learned):
                times = compared(work, towers[modality], x, given.rounds)
                print(f"| {pixels} | {modality} | {work.__name__} | {times} |", flush=True)


def compared(work: Callable[[Module, Tensor], None], tower: Module, x: Tensor, rounds: int) -> str:
    pairs = [
        (seconds(work, tower, x, False), seconds(work, tower, x, True)) for _ in range(rounds + 1)
    ][1:]
    ours, theirs = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    return f"{ours:.3g} | {theirs:.3g} | {statistics.median(b / a for a, b in pairs):.2f}"


def seconds(
    work: Callable[[Module, Tensor], None], tower: Module, x: Tensor, layers: bool
) -> float:
    """CPU seconds, which other work on the machine disturbs less than it does the clock."""
    own = x.clone()
    began = time.process_time()
    with disable_kernels(layers):
        work(tower, own)
    return time.process_time() - began


if __name__ == "__main__":
    main()
