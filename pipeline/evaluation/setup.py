"""The evaluation of a params file: its plugins, the trainer of students, and the real splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.paths import to_path
from pipeline.core.plugins import build_all, pick
from pipeline.evaluation.bench import Bench, Evaluate
from pipeline.evaluation.checks import (
    refuse_absent_classes,
    refuse_headline,
    refuse_single,
    refuse_unfit,
)
from pipeline.shards.read import read_shards
from pipeline.training.students import StudentTrainer

if TYPE_CHECKING:
    import torch

    from pipeline.core.params import Params
    from pipeline.core.paths import AnyPath
    from pipeline.evaluation.bench import Measurement


@dataclass(frozen=True, kw_only=True)
class EvaluationSetup:
    """The section `evaluate`, with the plugins that it names.

    Args:
        params: the sections of the params file that all of this was built from.
        settings: the section `evaluate`.
        networks: name -> network.
        heads: name -> head.
        tasks: name -> task.
        metrics: name -> metric, those of `evaluate.metrics`.
    """

    params: dict[str, Any]
    settings: Evaluate
    networks: dict[str, Any]
    heads: dict[str, Any]
    tasks: dict[str, Any]
    metrics: dict[str, Any]

    @classmethod
    def from_params(cls, params: Params) -> EvaluationSetup:
        """Build the section `evaluate` and its plugins.

        Args:
            params: the params file.

        Raises:
            ParamsError: the parts of a measurement do not fit each other.
            PluginError: a name is unknown.
        """
        settings = params.build("evaluate", Evaluate)
        kinds = {"networks": "network", "heads": "head", "tasks": "task", "metrics": "metric"}
        plugins = {section: build_all(kind, params) for section, kind in kinds.items()}
        plugins["metrics"] = {
            name: pick(plugins["metrics"], name, "metric") for name in settings.metrics
        }
        for measurement in settings.run:
            pick(plugins["networks"], measurement.network, "network")
            head = pick(plugins["heads"], measurement.head, "head")
            task = pick(plugins["tasks"], measurement.task, "task")
            protocol = pick(vars(settings.protocols), measurement.protocol, "protocol")
            refuse_unfit(measurement, head, task, protocol)
        headline = settings.run[0]
        refuse_headline(headline, plugins["tasks"][headline.task], settings.metrics)
        used = {section: params.get_section(section) for section in ("evaluate", *kinds)}
        return cls(params=used, settings=settings, **plugins)

    def make_trainer(
        self, measurement: Measurement, device: torch.device, workers: int, report: Any
    ) -> StudentTrainer:
        """Return the trainer of a measurement's students.

        Args:
            measurement: an entry of evaluate.run.
            device: where students are trained.
            workers: students trained at once on a CPU.
            report: called with (done, total) after each student.
        """
        return StudentTrainer(
            network=self.networks[measurement.network],
            head=self.heads[measurement.head],
            device=device,
            threads=workers,
            report=report,
        )

    def read_bench(self, shards: AnyPath, repeats: int, trainer: StudentTrainer) -> Bench:
        """Read the validation and test splits.

        Args:
            shards: the folder above val and test.
            repeats: students per set.
            trainer: of the headline's students.

        Raises:
            ParamsError: a task needs more modalities than the shards have.
            ShardError: a split is missing, damaged, or has no window of some class.
        """
        shards = to_path(shards)
        val, test = (read_shards(shards / split) for split in ("val", "test"))
        for split, real in (("val", val), ("test", test)):
            refuse_absent_classes(real, split)
        for measurement in self.settings.run:
            refuse_single(measurement, self.tasks[measurement.task], test)
        return Bench(
            trainer=trainer,
            val=val,
            test=test,
            metrics=self.metrics,
            networks=self.networks,
            repeats=repeats,
            bootstrap=self.settings.bootstrap,
        )
