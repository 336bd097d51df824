"""What is measured, and with what: one entry of `evaluate.run`, and the bench it stands on."""

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
    """One row of a report: students of a network and a head, trained under a protocol, do a task."""

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
            raise ValueError("run names each measure once, and the headline at least")


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Section `ceiling`: students trained on the whole training split, measured as `evaluate.run` says."""

    repeats: PositiveInt


class MetricPlugin(Protocol):
    """A metric: per source clip, the sum of scores and their number; the quotient is the metric.

    `text` says how a report writes it; without it the metric goes by its name, in percent.
    """

    text: ClassVar[MetricText]

    def per_clip(self, probabilities: Tensor, label: Tensor, clip: Tensor) -> Counted: ...


class TaskPlugin(Protocol):
    """A task plugin: sets -> what students trained on them reach on the test split.

    `takes` says which heads it works with (heads.CLASSES or heads.VECTORS), `protocols` under which
    protocols, and `modalities` how many a sample must have. `text` says how a report writes its
    scores: sentences, columns, units; without it the task goes by its name.
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
    ) -> Scores: ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a task needs besides the sets: students, real splits, metrics; networks by name for tasks that try several."""

    trainer: StudentTrainer
    val: RealSet
    test: RealSet
    metrics: Mapping[str, MetricPlugin]
    networks: Mapping[str, NetworkPlugin]
    repeats: int
    bootstrap: int

    def predict(self, module: AudioVisual, data: Instances) -> dict[str, Tensor]:
        """view -> class probabilities [N, C] on the test split, normalised as the instances are that the module learned from."""
        return fuse_outputs(
            training.predict(module, self.test, data.normalisation, self.trainer.device)
        )

    def make_jobs(self, sets: Sequence[Instances], recipe: Recipe) -> list[TrainingJob]:
        """`repeats` students of each set; their weights and batches are the same in every row of a table."""
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
        """Scores from what each run counted, metric -> view -> (sums, counts) per clip; runs in the order of `lessons`."""
        shares = [
            {
                metric: {view: (s.sum() / n.sum()).item() for view, (s, n) in views.items()}
                for metric, views in run.items()
            }
            for run in runs
        ]
        names = [
            {"set": number, "student": student}
            for number in range(len(sets))
            for student in range(self.repeats)
        ]
        return Scores(
            metrics={
                metric: {
                    view: summarise(
                        [run[metric][view] for run in runs], self.repeats, self.bootstrap
                    )
                    for view in views
                }
                for metric, views in runs[0].items()
            },
            chosen={
                "rates": dict(recipe.rates),
                "stops": dict(recipe.stops),
                "steps": recipe.steps,
            },
            trials=trials,
            runs=[{**name, **share} for name, share in zip(names, shares, strict=True)],
        )
