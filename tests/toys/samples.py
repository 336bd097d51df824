"""A tiny real set, in memory and as shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline.core.records import Normalisation, Origin, RealSet, Sample
from pipeline.shards.index import Index, write_index
from pipeline.shards.layout import move_channels_last
from pipeline.shards.write import write_shard

ORIGIN = Origin(extractor="toy", params={}, shards="toy0", preprocessing="toy", weights="none")


def toy_real(per_class: int = 12, classes: int = 2, side: int = 8, seed: int = 0) -> RealSet:
    """Random frames and log-mels whose brightness and loudness tell the class."""
    numbers = torch.Generator().manual_seed(seed)
    label = torch.arange(classes).repeat_interleave(per_class)
    level = label.float() / classes
    frame = (
        60 * torch.rand(len(label), 1, 3, side, side, generator=numbers)
        + 150 * level[:, None, None, None, None]
    )
    logmel = (
        20 * torch.rand(len(label), 1, side, side, generator=numbers)
        - 40 * level[:, None, None, None]
    )
    return RealSet(
        rows={"frame": frame.to(torch.uint8), "logmel": logmel.half()},
        label=label,
        keys=tuple(f"clip{i // 2:03d}_{i % 2:04d}" for i in range(len(label))),
        clips=tuple(f"clip{i // 2:03d}" for i in range(len(label))),
        classes=tuple(f"class{c}" for c in range(classes)),
        normalisation={
            "frame": Normalisation(
                scale=1 / 255, mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25), fill=0.0
            ),
            "logmel": Normalisation(scale=1.0, mean=(-10.0,), std=(15.0,), fill=-4.0),
        },
        preprocessing="toy",
        digest=f"toy{seed}",
    )


def toy_waves(rate: int = 1000) -> RealSet:
    """The toy with a second of noise per sample, louder in the second class."""
    real = toy_real()
    noise = torch.randn(len(real), 1, rate, generator=torch.Generator().manual_seed(5))
    wave = (3000 * noise * (1 + real.label[:, None, None])).to(torch.int16)
    units = Normalisation(scale=2**-15, mean=(0.0,), std=(0.1,), fill=0.0)
    return replace(
        real, rows={**real.rows, "wave": wave}, normalisation={**real.normalisation, "wave": units}
    )


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
