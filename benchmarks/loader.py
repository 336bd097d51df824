"""Measure samples per second from shards, beside plain webdataset.

    python benchmarks/loader.py [--samples 4000] [--side 224] [--rounds 3]

Shards of random samples are written once, frames u8 [1, side, side, 3] and log-mels f16 [128, 56].
Ours is `read_shards`: every tar is checked by its digest and a whole split comes back as tensors.
Plain is webdataset's pipeline over the same tars, decoded and stacked into the same tensors,
unchecked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import webdataset

from pipeline.core.records import Normalisation, Sample
from pipeline.shards.index import Index, write_index
from pipeline.shards.read import read_shards
from pipeline.shards.write import write_shard

if TYPE_CHECKING:
    from collections.abc import Callable

MELS, COLUMNS, PER_SHARD = 128, 56, 500


def main() -> None:
    """Write shards, read them by both sides in turn, and print rates and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_shards(folder, args.samples, args.side)
        print(
            "| round | ours, samples/s | plain webdataset, samples/s | ours / plain |\n"
            "|---|---|---|---|"
        )
        ratios = []
        for number in range(args.rounds + 1):  # the first fills the file cache and is not counted
            ours = measure_rate(read_checked, folder, args.samples)
            plain = measure_rate(read_unchecked, folder, args.samples)
            ratios.append(ours / plain)
            if number:
                print(f"| {number} | {ours:.0f} | {plain:.0f} | {ratios[-1]:.2f} |", flush=True)
        print(f"\nours / plain, median of {args.rounds}: {statistics.median(ratios[1:]):.2f}")


def write_shards(folder: Path, count: int, side: int) -> None:
    """Write shards of random samples."""
    generator = np.random.default_rng(0)
    shards = []
    for first in range(0, count, PER_SHARD):
        samples = [
            Sample(
                clip=f"clip{i:06d}",
                second=0,
                label="ab"[i % 2],
                arrays={
                    "frame": generator.integers(0, 256, (1, side, side, 3), dtype=np.uint8),
                    "logmel": generator.normal(size=(MELS, COLUMNS)).astype(np.float16),
                },
                pts=(0.5,),
            )
            for i in range(first, min(first + PER_SHARD, count))
        ]
        shards.append(
            write_shard(folder, f"shard-{first // PER_SHARD:05d}", "benchmark", samples, [])
        )
    plain = Normalisation(scale=1.0, mean=(0.0,), std=(1.0,), fill=0.0)
    units = {"frame": plain, "logmel": plain}
    write_index(
        folder,
        Index(
            classes=("a", "b"), preprocessing="benchmark", normalisation=units, shards=tuple(shards)
        ),
    )


def measure_rate(
    read: Callable[[Path], dict[str, torch.Tensor]], folder: Path, count: int
) -> float:
    """Return the samples that are read per second."""
    before = time.perf_counter()
    rows = read(folder)
    assert {len(values) for values in rows.values()} == {count}
    return count / (time.perf_counter() - before)


def read_checked(folder: Path) -> dict[str, torch.Tensor]:
    """Read a split by `read_shards`, which checks the digest of every tar."""
    return read_shards(folder).rows


def read_unchecked(folder: Path) -> dict[str, torch.Tensor]:
    """Read the same tars by webdataset, without checks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # webdataset leaves files open
        tars = sorted(map(str, folder.glob("*.tar")))
        pipeline = (
            webdataset.WebDataset(tars, shardshuffle=False)
            .decode()
            .to_tuple("frame.npy", "logmel.npy")
        )
        frames, mels = zip(*pipeline, strict=True)
    return {
        "frame": torch.from_numpy(np.stack(frames)).movedim(-1, -3).contiguous(),
        "logmel": torch.from_numpy(np.stack(mels))[:, None],
    }


if __name__ == "__main__":
    main()
