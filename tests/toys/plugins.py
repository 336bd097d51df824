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
from pipeline.media.logmel import LogMel
from pipeline.models.networks.convnet import Network
from pipeline.training.bank import ExpertBank
from pipeline.training.experts import ExpertSettings, ExpertTrainer
from pipeline.training.loop import ignore_progress
from pipeline.training.students import StudentTrainer
from tests.toys.project import CPU, PARAMS, ROOT, values
from tests.toys.samples import ORIGIN, toy_real

FILES = [PARAMS, *sorted((ROOT / "presets").glob("*.yaml"))]
# What the toy's log-mels, 8 x 8, could have been made with.
TOY_SOUND = LogMel(rate=700, n_fft=256, hop=100, n_mels=8, f_min=0.0, f_max=350.0, floor_db=-60.0)
NETWORKS = {
    "convnet": Network(
        width=4, depth={"frame": 2, "logmel": 2}, grid=2, padding={"frame": 1, "logmel": 3}
    ),
}
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
                made = plugins.build(kind, section, given)
                cut = {
                    "steps": 2,
                    "counts": (1, 2, 4, 8),
                    "inner": 2,
                    "ahead": 1,
                    "max_start": 1,
                    "logmel": TOY_SOUND,
                    "negatives": 8,
                }
                return dataclasses.replace(
                    made,
                    **{name: value for name, value in cut.items() if getattr(made, name, None)},
                )
    raise AssertionError(f"no params file gives values to {kind}/{name}")


def toy_features() -> Features:
    real = toy_real()
    vectors = {m: rows.flatten(1).float().numpy() for m, rows in real.rows.items()}
    return Features(
        keys=real.keys,
        label=real.label.numpy(),
        vectors=vectors,
        classes=real.classes,
        origin=ORIGIN,
    )


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


@cache
def toy_bank() -> ExpertBank:
    """Two experts of two epochs on the toy."""
    settings = dataclasses.replace(values().build("experts", ExpertSettings), count=2, epochs=2)
    trainer = ExpertTrainer(
        settings=settings,
        network=NETWORKS["convnet"],
        head=built("head", "ensemble"),
        real=toy_real(),
        val=toy_real(),
        device=CPU,
        report=ignore_progress,
    )
    trajectories = [trainer.train(number) for number in range(2)]
    about = {"params": dataclasses.asdict(settings)}
    certain = {"frame": 1.0, "logmel": 1.0}
    return ExpertBank(
        network=trainer.network,
        head=trainer.head,
        shards="toy0",
        about=about,
        temperature=certain,
        trajectories=trajectories,
    )


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
    head = built("head", changes.pop("head", "ensemble"))
    trainer = StudentTrainer(
        network=NETWORKS["convnet"], head=head, device=CPU, threads=2, report=ignore_progress
    )
    metrics = {name: built("metric", name) for name in plugins.list_names("metric")}
    given = {
        "trainer": trainer,
        "val": toy_real(4, seed=1),
        "test": toy_real(6, seed=2),
        "metrics": metrics,
        "networks": NETWORKS,
    }
    return Bench(**{**given, "repeats": 2, "bootstrap": 50, **changes})


def embed(name: str, real: RealSet, folder: Path, **changes: Any) -> Features:
    extractor = dataclasses.replace(built("extractor", name), **changes)
    return extractor.embed(real, {}, PartialResults(folder=folder / "parts"), CPU, ignore_progress)
