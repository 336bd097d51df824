"""An honest local teacher: `python benchmarks/teacher.py SHARDS OUT`, for `extract --extractor external` and then `teach`.

A network learns from half of the training split's clips, and OUT/<modality>.npy and .ids.txt hold its vectors of all other
windows: the other half, val and test. Clips that it learned from have none, so that students are taught on clips that neither
has seen before. Network, steps, rate and augmentations are those of extract.convnet in params.yaml.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline import params, plugins, training
from pipeline.extractors.convnet import Extractor
from pipeline.heads.ensemble import Head
from pipeline.records import SPLITS, RealSet
from pipeline.shards import read_shards
from pipeline.streams import stream


def kept_apart(clip: str) -> bool:
    """Whether the teacher learns from this clip of the training split."""
    return hashlib.sha256(clip.encode()).digest()[0] % 2 == 0


def part(real: RealSet, rows: list[int]) -> RealSet:
    index = torch.tensor(rows)
    return replace(
        real,
        rows={m: values[index] for m, values in real.rows.items()},
        label=real.label[index],
        keys=tuple(real.keys[row] for row in rows),
        clips=tuple(real.clips[row] for row in rows),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    file = params.load(Path("params.yaml"))
    recipe = file.build("extract.convnet", Extractor)
    network = file.build(f"networks.{recipe.network}", plugins.find("networks", recipe.network))
    splits = {split: read_shards(given.shards / split) for split in SPLITS}
    train = splits["train"]
    own = [row for row, clip in enumerate(train.clips) if kept_apart(clip)]
    others = [row for row, clip in enumerate(train.clips) if not kept_apart(clip)]
    cpu = torch.device("cpu")
    data = training.whole(part(train, own), cpu)
    module = training.build(network, Head(), data, stream("teacher", recipe.seed))
    steps = training.Recipe.even(
        recipe.rate, recipe.augment, steps=recipe.steps, batch=recipe.batch, weight_decay=recipe.weight_decay
    )
    training.fit(module, data, steps, stream("teacher", recipe.seed, "fit"), cpu)
    seen = [part(train, others), splits["val"], splits["test"]]
    vectors = [training.applied(module, module.towers.embed, real, train.normalisation, cpu) for real in seen]
    given.out.mkdir(parents=True, exist_ok=True)
    for modality in train.rows:
        np.save(given.out / f"{modality}.npy", torch.cat([one[modality] for one in vectors]).numpy())
        (given.out / f"{modality}.ids.txt").write_text("\n".join(key for real in seen for key in real.keys))
    print(
        f"learned from {len(own)} training windows, vectors of {len(others)} others and {sum(map(len, seen[1:]))} of val and test"
    )


if __name__ == "__main__":
    main()
