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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    file = params.load(Path("params.yaml"))
    recipe = file.build("extract.convnet", Extractor)
    network = file.build(f"networks.{recipe.network}", plugins.find("network", recipe.network))
    train, cpu = read_shards(args.teacher / "train"), torch.device("cpu")
    students = [read_shards(args.students / split) for split in SPLITS]
    if shared := {key for split in students for key in split.keys} & set(train.keys):
        sys.exit(
            f"error: {len(shared)} windows are in both sets of clips, first {min(shared)}; "
            "a teacher must not be trained on its students' clips, see benchmarks/halves.py"
        )
    data = instances.wrap_real_set(train, cpu)
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
    loop.fit(module, data, steps, make_generator("teacher", recipe.seed, "fit"), cpu)
    vectors = [
        loop.apply_in_batches(module, module.towers.embed, real, train.normalisation, cpu)
        for real in students
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    for modality in train.rows:
        np.save(
            args.out / f"{modality}.npy", torch.cat([each[modality] for each in vectors]).numpy()
        )
        (args.out / f"{modality}.ids.txt").write_text(
            "\n".join(key for real in students for key in real.keys)
        )
    print(
        f"trained on {len(train)} windows, "
        f"vectors of {sum(map(len, students))} other windows -> {args.out}"
    )


if __name__ == "__main__":
    main()
