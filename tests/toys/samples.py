"""A tiny real set, in memory and as shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.core.records import RealSet, Sample
from pipeline.shards.index import Index, write_index
from pipeline.shards.layout import move_channels_last
from pipeline.shards.write import write_shard
from stages.contract.toys import ORIGIN, toy_real, toy_waves

__all__ = ["ORIGIN", "toy_real", "toy_sample", "toy_waves", "write_split"]


def toy_sample(clip: str, second: int, label: str = "a") -> Sample:
    """A sample whose values follow from its key."""
    numbers = np.random.default_rng([second, *clip.encode()])
    return Sample(
        clip=clip,
        second=second,
        label=label,
        arrays={
            "frame": numbers.integers(0, 256, (1, 4, 4, 3), dtype=np.uint8),
            "logmel": numbers.normal(size=(4, 6)).astype(np.float16),
        },
        pts=(second + 0.5,),
    )


def write_split(
    folder: Path, real: RealSet, modalities: tuple[str, ...] = ("frame", "logmel")
) -> None:
    """A toy as shards on disk."""
    samples = [
        Sample(
            clip=clip,
            second=int(key.rpartition("_")[2]),
            label=real.classes[label],
            arrays={m: move_channels_last(real.rows[m][i].numpy()) for m in modalities},
            pts=(0.5,),
        )
        for i, (key, clip, label) in enumerate(
            zip(real.keys, real.clips, real.label.tolist(), strict=True)
        )
    ]
    shard = write_shard(folder, "shard-00000", "toy", samples, [])
    units = {m: real.normalisation[m] for m in modalities}
    known = Index(classes=real.classes, preprocessing="toy", normalisation=units, shards=(shard,))
    write_index(folder, known)
