"""Shards of random samples, and a coreset of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.records import Normalisation, RealSet
from pipeline.coresets.rankings import Coreset, Ranking
from pipeline.shards.index import Index, write_index
from pipeline.shards.write import write_shard
from tests.toys.samples import toy_sample

CLASSES = ("a", "b", "c")
# A formation of whole samples.
WHOLE = {"frame": (1, 1), "logmel": (1, 1)}


def toy_shards(
    folder: Path, splits: tuple[str, ...] = ("train", "val"), each: int = 6, side: int = 8
) -> Path:
    """Splits of random samples in two tars each."""
    units = {
        "frame": Normalisation(scale=1 / 255, mean=(0.5,) * 3, std=(0.3,) * 3, fill=0.0),
        "logmel": Normalisation(scale=1.0, mean=(0.0,), std=(1.0,), fill=-2.0),
    }
    for split in splits:
        samples = [
            sized(f"{split}{label}{clip}", clip % 2, label, side)
            for label in CLASSES
            for clip in range(each)
        ]
        (folder / split).mkdir(parents=True)
        halves = [
            write_shard(folder / split, f"shard-{i:05d}", "toy", samples[i::2], [])
            for i in range(2)
        ]
        about = {"classes": CLASSES, "preprocessing": "toy", "normalisation": units}
        write_index(folder / split, Index(shards=tuple(halves), **about))
    return folder


def sized(clip: str, second: int, label: str, side: int) -> Any:
    """A sample of so many pixels and mel bins a side."""
    numbers = np.random.default_rng([second, *clip.encode()])
    arrays = {
        "frame": numbers.integers(0, 256, (1, side, side, 3), dtype=np.uint8),
        "logmel": numbers.normal(size=(side, side)).astype(np.float16),
    }
    return dataclasses.replace(toy_sample(clip, second, label), arrays=arrays)


def coreset(real: RealSet) -> Coreset:
    keys = {
        name: tuple(real.keys[row] for row in real.indices_of(label).tolist())
        for label, name in enumerate(real.classes)
    }
    return Coreset(
        selector="herding", seed=0, table="toy", shards=real.digest, ranking=Ranking(keys)
    )
