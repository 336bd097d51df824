"""Every plugin with the values of params.yaml, sized for a toy, and inputs for them."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core import params, plugins
from pipeline.core.checkpoints import PartialResults
from pipeline.core.records import Features, RealSet, SyntheticSet
from pipeline.coresets.rankings import Coreset
from pipeline.distillation.inputs import DistillInputs, Runtime
from pipeline.evaluation import Bench
from pipeline.training.loop import ignore_progress
from stages.contract import toys
from stages.contract.subject import TOY_SOUND, shrink
from stages.contract.toys import toy_bank, toy_features, toy_networks
from tests.toys.project import CPU, PARAMS, ROOT, values
from tests.toys.samples import toy_real

__all__ = [
    "FILES",
    "NETWORKS",
    "TOY_SOUND",
    "built",
    "distilled",
    "embed",
    "head_for",
    "rankings",
    "rows_of",
    "toy_bank",
    "toy_bench",
    "toy_features",
    "toy_inputs",
]
FILES = [PARAMS, *sorted((ROOT / "presets").glob("*.yaml"))]
NETWORKS = toy_networks()
loaded = cache(params.load)


def rows_of(kind: str) -> list[str]:
    """Rows of a kind's section in params.yaml, e.g. resnet10 and resnet18 for the plugin resnet."""
    return list(values().get_section(plugins.KINDS[kind].section))


def built(kind: str, name: str) -> Any:
    """Build the row or plugin of that name with values from the first params file that has some.

    Steps and counts are small enough for a toy.
    """
    for file in FILES:
        given = loaded(file)
        for section in given.get_section(plugins.KINDS[kind].section):
            if section == name or (
                name not in given.get_section(plugins.KINDS[kind].section)
                and plugins.plugin_of(kind, section, given) == name
            ):
                return shrink(plugins.build(kind, section, given))
    raise AssertionError(f"no params file gives values to {kind}/{name}")


def rankings() -> dict[str, Coreset]:
    return {
        name: Coreset(
            selector=name,
            seed=0,
            table="toy",
            shards="toy0",
            ranking=built("selector", name).rank(toy_features()),
        )
        for name in plugins.list_names("selector")
    }


def toy_inputs(**changes: Any) -> DistillInputs:
    """What the toy's sets are made from."""
    return DistillInputs(
        **{
            "real": toy_real(),
            "coresets": rankings(),
            "networks": NETWORKS,
            "bank": toy_bank(),
            **changes,
        }
    )


def distilled(distiller: Any, *, ipc: int = 1, seed: int = 0, **changes: Any) -> SyntheticSet:
    """The toy's set by this distiller."""
    machine = Runtime(device=CPU, report=ignore_progress)
    return distiller.distill(toy_inputs(**changes), ipc=ipc, seed=seed, runtime=machine).synthetic


def head_for(task: str) -> str:
    """Return the first head of params.yaml that gives what a task takes."""
    takes = built("task", task).takes
    return next(name for name in rows_of("head") if built("head", name).gives == takes)


def toy_bench(**changes: Any) -> Bench:
    """A bench of toys; `network` and `head` name the trainer's."""
    metrics = {name: built("metric", name) for name in plugins.list_names("metric")}
    head = built("head", changes.pop("head", "ensemble"))
    return toys.toy_bench(head, changes.pop("metrics", metrics), **changes)


def embed(name: str, real: RealSet, folder: Path, **changes: Any) -> Features:
    extractor = dataclasses.replace(built("extractor", name), **changes)
    return extractor.embed(real, {}, PartialResults(folder=folder / "parts"), CPU, ignore_progress)
