"""Train a teacher on other clips than its students', for `extract --extractor external`.

    python benchmarks/teacher.py TEACHER STUDENTS OUT

TEACHER and STUDENTS are folders of shards of different training clips (benchmarks/halves.py). A
network learns from TEACHER's training split. OUT/<modality>.npy and .ids.txt hold its vectors of
every window of STUDENTS. Network, steps, rate and augmentations are those of extract.convnet in
params.yaml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.core import params, plugins
from pipeline.core.records import SPLITS
from pipeline.core.rng import make_generator
from pipeline.features.extractors.convnet import Extractor
from pipeline.models import model
from pipeline.models.heads.ensemble import Head
from pipeline.shards.read import read_shards
from pipeline.training import instances, loop

if TYPE_CHECKING:
    from pipeline.core.records import RealSet
    from pipeline.models.model import AudioVisual

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    train = read_shards(args.teacher / "train")
    students = [read_shards(args.students / split) for split in SPLITS]
    if shared := {key for real in students for key in real.keys} & set(train.keys):
        sys.exit(
            f"error: {len(shared)} windows are in both sets of clips, first {min(shared)}; "
            "a teacher must not be trained on its students' clips, see benchmarks/halves.py"
        )
    module = train_teacher(train)
    vectors = [
        loop.apply_in_batches(module, module.towers.embed, real, train.normalisation, CPU)
        for real in students
    ]
    keys = "\n".join(key for real in students for key in real.keys)
    args.out.mkdir(parents=True, exist_ok=True)
    for modality in train.rows:
        joined = torch.cat([each[modality] for each in vectors])
        np.save(args.out / f"{modality}.npy", joined.numpy())
        (args.out / f"{modality}.ids.txt").write_text(keys)
    print(
        f"trained on {len(train)} windows, "
        f"vectors of {sum(map(len, students))} other windows -> {args.out}"
    )


def train_teacher(train: RealSet) -> AudioVisual:
    """Train a network as extract.convnet does, on the training split."""
    file = params.load(Path("params.yaml"))
    recipe = file.build("extract.convnet", Extractor)
    network = file.build(f"networks.{recipe.network}", plugins.find("network", recipe.network))
    data = instances.wrap_real_set(train, CPU)
    module = model.build(
        network, Head(), data.shapes, data.classes, make_generator("teacher", recipe.seed)
    )
    steps = loop.Recipe.build_uniform(
        recipe.rate,
        recipe.augment,
        steps=recipe.steps,
        batch=recipe.batch,
        weight_decay=recipe.weight_decay,
    )
    loop.fit(module, data, steps, make_generator("teacher", recipe.seed, "fit"), CPU)
    return module


if __name__ == "__main__":
    main()
