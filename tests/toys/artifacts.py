"""Sets of the toy as artifacts."""

from __future__ import annotations

import dataclasses

from pipeline.artifact import (
    ExportSettings,
)
from pipeline.core.records import SyntheticSet
from pipeline.distillation.methods._selection import form
from pipeline.distillation.soft_labels import add_soft_labels
from tests.toys.golden import bank
from tests.toys.plugins import rankings
from tests.toys.project import CPU
from tests.toys.samples import toy_real

FULL = ExportSettings(storage="float32")
AV = {"mean": 0.5, "std": 0.1, "n": 3, "low": 0.4, "high": 0.6}
MEASURE = {"protocol": "budget", "network": "convnet", "head": "ensemble", "task": "recognition"}
SCORES = [{**MEASURE, "metrics": {"accuracy": {"av": AV}}, "chosen": {}, "runs": [], "trials": []}]


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


UNEVEN = {"frame": (1, 1), "logmel": (2, 2)}


def soft(synthetic: SyntheticSet | None = None, temperature: float = 4.0) -> SyntheticSet:
    return add_soft_labels(
        synthetic or toy_synthetic(), bank(), toy_real(), dict.fromkeys(UNEVEN, temperature), CPU
    )
