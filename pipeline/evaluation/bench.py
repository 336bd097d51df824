"""Measurements, the contracts of tasks and metrics, and the bench that tasks work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pipeline.core.params import Names, PositiveInt
from pipeline.core.scores import Scores
from pipeline.evaluation.bootstrap import Counted, summarise
from pipeline.evaluation.protocols import AvddProtocol, BudgetProtocol, Protocols
from pipeline.evaluation.views import fuse_outputs
from pipeline.training import loop as training
from pipeline.training.students import StudentTrainer, TrainingJob

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import RealSet
    from pipeline.evaluation.texts import MetricText, TaskText
    from pipeline.models.model import AudioVisual, NetworkPlugin
    from pipeline.training.instances import Instances
    from pipeline.training.loop import Recipe


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One entry of `evaluate.run`: trained students do a task.

    Args:
        protocol: how students are trained.
        network: their architecture.
        head: their head.
        task: what they are tested on.
    """

    protocol: str
    network: str
    head: str
    task: str


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Section `evaluate`.

    Args:
        repeats: students per set.
        bootstrap: resamples behind an interval.
        metrics: those of tasks that name none of their own.
        run: the measurements; the first is the headline, which step sizes are chosen with.
        protocols: how students are trained, by name.
    """

    repeats: PositiveInt
    bootstrap: PositiveInt
    metrics: Names
    run: tuple[Measurement, ...]
    protocols: Protocols

    def __post_init__(self) -> None:
        if not self.run or len(set(self.run)) < len(self.run):
            raise ValueError(
                "run is empty or repeats a measurement; expected one or more, each once"
            )


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Section `ceiling`: the full-data upper bound, students trained on the whole training split.

    Args:
        repeats: students of each measurement of `evaluate.run`.
    """

    repeats: PositiveInt


class MetricPlugin(Protocol):
    """A metric: per source clip, the sum of scores and their number; the quotient is the metric.

    `text` says how a report writes it; without it the metric goes by its name, in percent.
    """

    text: ClassVar[MetricText]

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> Counted:
        """Return the sum of scores and their number of each clip, float64 [clips].

        Args:
            probabilities: of the windows, [N, C].
            label: of the windows, int64 [N].
            clip: number of each window's clip, int64 [N].
        """
        ...


class TaskPlugin(Protocol):
    """A task: it trains students on sets and scores them on the test split.

    Attributes:
        text: how a report writes its scores; without it the task goes by its name.
        takes: the output of the heads that it works with, heads.CLASSES or heads.VECTORS.
        protocols: the protocols that it works with.
        modalities: how many a sample must have.
    """

    text: ClassVar[TaskText]

    takes: ClassVar[str]
    protocols: ClassVar[tuple[type, ...]]
    modalities: ClassVar[int]

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Train students and score them on the test split.

        Args:
            sets: the instances of each set of a row.
            protocol: how students are trained.
            spent: validation trials that the choice of the distiller's step size took.
            bench: real splits, trainer, metrics and networks.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Everything that a task needs besides the sets.

    Args:
        trainer: trains students of the measurement's network and head.
        val: the validation split.
        test: the test split.
        metrics: metric -> plugin.
        networks: network -> plugin, for tasks that try several.
        repeats: students per set.
        bootstrap: resamples behind an interval.
    """

    trainer: StudentTrainer
    val: RealSet
    test: RealSet
    metrics: Mapping[str, MetricPlugin]
    networks: Mapping[str, NetworkPlugin]
    repeats: int
    bootstrap: int

    def predict(self, module: AudioVisual, data: Instances) -> dict[str, Tensor]:
        """Return a student's class probabilities [N, C] on the test split, by view.

        Args:
            module: the student.
            data: the instances that it was trained on; their normalisation is used.
        """
        return fuse_outputs(
            training.predict(module, self.test, data.normalisation, self.trainer.device)
        )

    def make_jobs(self, sets: Sequence[Instances], recipe: Recipe) -> list[TrainingJob]:
        """Return the training jobs of `repeats` students of each set.

        Their weights and batches are the same in every row of a table.

        Args:
            sets: the instances of each set.
            recipe: how they are trained.
        """
        return [
            TrainingJob(data=data, recipe=recipe, name=("student", number, student))
            for number, data in enumerate(sets)
            for student in range(self.repeats)
        ]

    def summarise_runs(
        self,
        sets: Sequence[Instances],
        recipe: Recipe,
        trials: list[dict[str, Any]],
        runs: Sequence[Mapping[str, Mapping[str, Counted]]],
    ) -> Scores:
        """Return the scores of all runs.

        Args:
            sets: the instances of each set.
            recipe: the chosen recipe.
            trials: the trials behind the choice.
            runs: metric -> view -> (sums, counts) per clip, in the order of `make_jobs`.
        """
        metrics = {
            metric: {
                view: summarise([run[metric][view] for run in runs], self.repeats, self.bootstrap)
                for view in views
            }
            for metric, views in runs[0].items()
        }
        names = [
            {"set": number, "student": student}
            for number in range(len(sets))
            for student in range(self.repeats)
        ]
        return Scores(
            metrics=metrics,
            chosen={
                "rates": dict(recipe.rates),
                "stops": dict(recipe.stops),
                "steps": recipe.steps,
            },
            trials=trials,
            runs=[{**name, **_average(run)} for name, run in zip(names, runs, strict=True)],
        )


def _average(run: Mapping[str, Mapping[str, Counted]]) -> dict[str, dict[str, float]]:
    """Return the mean of each metric and view."""
    return {
        metric: {view: (s.sum() / n.sum()).item() for view, (s, n) in views.items()}
        for metric, views in run.items()
    }
