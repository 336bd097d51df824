"""Measure CPU milliseconds of the ConvNet's towers by kernels and layer by layer.

    python benchmarks/blocks.py [--pixels 32 56 112] [--rows 32] [--rounds 5]

There are three kinds of work: a forward pass, gradients of rows (distillation), and gradients of
weights (training). The two sides alternate.
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
from distill_step import Setting, describe_machine

from pipeline.models.kernels.cpu import disable_kernels
from pipeline.models.networks.convnet import Network
from stages._runtime import device_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.nn import Module


def run_forward(tower: Module, x: Tensor) -> None:
    with torch.no_grad():
        tower(x)


def differentiate_rows(tower: Module, x: Tensor) -> None:
    """Compute gradients of the rows alone."""
    tower.requires_grad_(False)
    tower(x.requires_grad_()).sum().backward()


def differentiate_weights(tower: Module, x: Tensor) -> None:
    """Compute gradients of the weights alone."""
    tower.requires_grad_()
    tower(x).sum().backward()


WORK = {"read": run_forward, "moved": differentiate_rows, "learned": differentiate_weights}


def main() -> None:
    """Print a line for each size, modality and kind of work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, nargs="+", default=[32, 56, 112])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device_of("cpu")
    print(
        f"{describe_machine('cpu')}, {args.threads} threads, {args.rows} rows, "
        f"medians of {args.rounds} pairs"
    )
    print(
        "\n| pixels | modality | work | kernels ms | layers ms | layers / kernels |\n"
        "|---|---|---|---|---|---|"
    )
    for pixels in args.pixels:
        setting = Setting(pixels=pixels, ipc=1, method="dm", steps=1, threads=args.threads)
        towers = (
            Network(**setting.network)
            .build(setting.shapes, torch.Generator().manual_seed(0))
            .towers
        )
        for modality, shape in setting.shapes.items():
            x = torch.randn(args.rows, *shape[-3:])
            for name, work in WORK.items():
                times = compare(work, towers[modality], x, args.rounds)
                print(f"| {pixels} | {modality} | {name} | {times} |", flush=True)


def compare(work: Callable[[Module, Tensor], None], tower: Module, x: Tensor, rounds: int) -> str:
    """Return milliseconds by kernels and by layers, and their ratio, as cells of the table."""
    pairs = [
        (time_work(work, tower, x, False), time_work(work, tower, x, True))
        for _ in range(rounds + 1)
    ][1:]
    kernels_ms, layers_ms = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(layers / kernels for kernels, layers in pairs)
    return f"{kernels_ms:.3g} | {layers_ms:.3g} | {ratio:.2f}"


def time_work(
    work: Callable[[Module, Tensor], None], tower: Module, x: Tensor, layers: bool
) -> float:
    """Return the CPU seconds, which other work on the machine disturbs less than wall seconds."""
    rows = x.clone()
    began = time.process_time()
    with disable_kernels(layers):
        work(tower, rows)
    return time.process_time() - began


if __name__ == "__main__":
    main()
