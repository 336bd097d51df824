"""An honest local teacher, for `extract --extractor external` and `teach`.

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
    given = parser.parse_args()
    file = params.load(Path("params.yaml"))
    recipe = file.build("extract.convnet", Extractor)
    network = file.build(f"networks.{recipe.network}", plugins.find("network", recipe.network))
    train, cpu = read_shards(given.teacher / "train"), torch.device("cpu")
    students = [read_shards(given.students / split) for split in SPLITS]
    if shared := {key for own in students for key in own.keys} & set(train.keys):
        told = f"{len(shared)} windows are in both training sets, first {min(shared)}"
        sys.exit(
            f"error: {told}; a teacher must not have seen its students' clips, "
            "see benchmarks/halves.py"
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
    given.out.mkdir(parents=True, exist_ok=True)
    for modality in train.rows:
        np.save(
            given.out / f"{modality}.npy", torch.cat([one[modality] for one in vectors]).numpy()
        )
        (given.out / f"{modality}.ids.txt").write_text(
            "\n".join(key for real in students for key in real.keys)
        )
    print(
        f"learned from {len(train)} training windows, "
        f"vectors of {sum(map(len, students))} windows of others -> {given.out}"
    )


if __name__ == "__main__":
    main()
