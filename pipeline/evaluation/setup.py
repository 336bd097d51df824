"""What students are measured with, from the params file and a folder of shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from pipeline.core.params import Params
    from pipeline.evaluation import Bench, Evaluate, Measurement
    from pipeline.training.students import StudentTrainer


@dataclass(frozen=True, kw_only=True)
class EvaluationSetup:
    """The section `evaluate`, with every name in it found; `params`: the sections that all of this was built from."""

    params: dict[str, Any]
    settings: Evaluate
    networks: dict[str, Any]
    heads: dict[str, Any]
    tasks: dict[str, Any]
    metrics: dict[str, Any]

    @classmethod
    def from_params(cls, params: Params) -> EvaluationSetup:
        """Each name that `evaluate` uses is known, or nothing is begun."""
        from pipeline.core.plugins import build_all, pick
        from pipeline.evaluation import Evaluate, refuse_headline, refuse_unfit

        settings = params.build("evaluate", Evaluate)
        kinds = {"networks": "network", "heads": "head", "tasks": "task", "metrics": "metric"}
        plugins = {section: build_all(kind, params) for section, kind in kinds.items()}
        plugins["metrics"] = {
            name: pick(plugins["metrics"], name, "metric") for name in settings.metrics
        }
        for measure in settings.run:
            pick(plugins["networks"], measure.network, "network")
            head, task = (
                pick(plugins["heads"], measure.head, "head"),
                pick(plugins["tasks"], measure.task, "task"),
            )
            refuse_unfit(
                measure, head, task, pick(vars(settings.protocols), measure.protocol, "protocol")
            )
        first = settings.run[0]
        refuse_headline(first, plugins["tasks"][first.task], settings.metrics)
        used = {section: params.get_section(section) for section in ("evaluate", *kinds)}
        return cls(params=used, settings=settings, **plugins)

    def make_trainer(
        self, measure: Measurement, device: torch.device, workers: int, report: Any
    ) -> StudentTrainer:
        """The students of one measure."""
        from pipeline.training.students import StudentTrainer

        network, head = self.networks[measure.network], self.heads[measure.head]
        return StudentTrainer(
            network=network, head=head, device=device, threads=workers, report=report
        )

    def make_bench(self, shards: Path, repeats: int, trainer: StudentTrainer) -> Bench:
        """The real splits, and the rest of what tasks need."""
        from pipeline.evaluation import Bench, refuse_absent_classes, refuse_single
        from pipeline.shards.read import read_shards

        val, test = (read_shards(shards / split) for split in ("val", "test"))
        for split, real in (("val", val), ("test", test)):
            refuse_absent_classes(real, split)
        for measure in self.settings.run:
            refuse_single(measure, self.tasks[measure.task], test)
        return Bench(
            trainer=trainer,
            val=val,
            test=test,
            metrics=self.metrics,
            networks=self.networks,
            repeats=repeats,
            bootstrap=self.settings.bootstrap,
        )
