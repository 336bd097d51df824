"""Sets of the toy as artifacts."""

from __future__ import annotations

import dataclasses
import json

from pipeline.artifact import (
    ExportSettings,
)
from pipeline.core.records import SyntheticSet
from pipeline.distillation.methods._selection import form
from pipeline.distillation.soft_labels import add_soft_labels
from pipeline.media import FrameTrack
from pipeline.media.logmel import LogMel
from pipeline.shards.preprocessing import Preprocessing
from tests.toys.golden import bank
from tests.toys.plugins import rankings
from tests.toys.project import CPU
from tests.toys.samples import toy_real

FULL = ExportSettings(storage="float32")
AV = {"mean": 0.5, "std": 0.1, "n": 3, "low": 0.4, "high": 0.6}
MEASURE = {"protocol": "budget", "network": "convnet", "head": "ensemble", "task": "recognition"}
SCORES = [{**MEASURE, "metrics": {"accuracy": {"av": AV}}, "chosen": {}, "runs": [], "trials": []}]

WHOLE = {"mean": 0.9, "std": 0.02, "n": 2, "low": 0.85, "high": 0.95}
PLUGINS = {"networks": {"convnet": {}}, "heads": {"ensemble": {}}, "tasks": {"recognition": {}}}
EVALUATION = {
    "params": {"evaluate": {"protocols": {"budget": {"batch": 32, "trials": 4}}}, **PLUGINS},
    "val": "toy1",
    "test": "toy2",
}
SPLIT = {"classes": ["class0", "class1"], "test_windows": 12, "test_clips": 6}
CHOSEN = {"rates": {"frame": 0.00416, "logmel": 0.0007}, "stops": {"frame": 0.75}, "steps": 60}
# The files of scores of the toy, but for `artifacts`, and of its ceiling.
EVALUATED = {**SPLIT, "evaluation": EVALUATION, "scores": [{**SCORES[0], "chosen": CHOSEN}]}
CEILING = {**EVALUATED, "scores": [{**SCORES[0], "metrics": {"accuracy": {"av": WHOLE}}}]}


def toy_synthetic() -> SyntheticSet:
    grids = {"frame": (2, 2), "logmel": (2, 2)}
    provenance = {
        "method": "herding",
        "params": {"formation": {"frame": [2, 2]}},
        "seed": 0,
        "preprocessing": "toy",
    }
    return dataclasses.replace(
        form(toy_real(), rankings()["herding"].select, 2, grids), provenance=provenance
    )


# The parameters of samples like the toy's: 8 x 8 pixels, 8 mel bins and columns.
PREPROCESSING = Preprocessing(
    sections={
        "frame": FrameTrack(width=8, height=8, crop=True, offsets=(0.5,)),
        "logmel": LogMel(
            rate=8000, n_fft=1024, hop=1100, n_mels=8, f_min=0.0, f_max=4000.0, floor_db=-100.0
        ),
    }
)


def preprocessed() -> SyntheticSet:
    """The toy as a set that knows how its samples were made."""
    toy = toy_synthetic()
    made = {
        "preprocessing": PREPROCESSING.digest,
        "preprocessing_params": json.loads(json.dumps(PREPROCESSING.params)),
    }
    return dataclasses.replace(toy, provenance={**toy.provenance, **made})


UNEVEN = {"frame": (1, 1), "logmel": (2, 2)}


def soft(synthetic: SyntheticSet | None = None, temperature: float = 4.0) -> SyntheticSet:
    return add_soft_labels(
        synthetic or toy_synthetic(), bank(), toy_real(), dict.fromkeys(UNEVEN, temperature), CPU
    )
