"""Class-incremental learning with the set as memory: classes arrive in groups.

GDumb (Prabhu et al., ECCV 2020): after each group a student is trained from scratch on the memory
alone and tested on all classes so far, as in the distillation literature (DM, Zhao and Bilen, WACV
2023, section 4.3). Classes arrive in the order of their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pipeline import evaluation
from pipeline.core.params import PositiveInt
from pipeline.evaluation import AvddProtocol, BudgetProtocol, TaskText
from pipeline.evaluation.metrics import sum_per_clip
from pipeline.models.heads import CLASSES

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """Parameters of class-incremental learning.

    Args:
        groups: number of groups of classes.
    """

    takes: ClassVar[str] = CLASSES
    protocols: ClassVar[tuple[type, ...]] = (AvddProtocol, BudgetProtocol)
    modalities: ClassVar[int] = 1
    text: ClassVar[TaskText] = TaskText(
        about=(
            "Classes arrive in groups. After each group a new student learns from the set's "
            "instances of all classes so far, and is tested on these classes. Average is the mean "
            "over the groups."
        )
    )

    groups: PositiveInt

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Return the joint accuracy after each group, on all classes so far, and their mean."""
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        stages = []
        for classes in self._count_classes(sets[0].classes):
            memory = [
                data.select((data.label < classes).nonzero().flatten(), classes) for data in sets
            ]
            jobs = bench.make_jobs(memory, protocol.resize(recipe, len(memory[0].label)))
            stages.append(
                (classes, bench.trainer.train(jobs, _ClassReader(bench, sets[0], classes)))
            )
        runs = [
            {
                "accuracy": {
                    f"{view} after {classes}": counts
                    for classes, results in stages
                    for view, counts in results[number].items()
                }
            }
            for number in range(len(stages[0][1]))
        ]
        scores = bench.summarise_runs(sets, recipe, trials, runs)
        means = [[(s.sum() / n.sum()).item() for s, n in run["accuracy"].values()] for run in runs]
        average = evaluation.summarise_values([sum(values) / len(values) for values in means])
        return replace(
            scores, metrics={"accuracy": {**scores.metrics["accuracy"], "average": average}}
        )

    def _count_classes(self, classes: int) -> list[int]:
        """Return the number of classes after each group; a group has at least one."""
        groups = min(self.groups, classes)
        return [round(classes * (i + 1) / groups) for i in range(groups)]


@dataclass(frozen=True)
class _ClassReader:
    """Counts a student's right windows per clip, among those of the first `classes` classes."""

    bench: Bench
    data: Instances
    classes: int

    def __call__(self, module: AudioVisual) -> dict[str, Counted]:
        test = self.bench.test
        clip, is_tested = evaluation.clip_numbers(test), test.label < self.classes
        views = self.bench.predict(module, self.data)
        joint = evaluation.pick_joint_view(views)
        right: Tensor = (views[joint].argmax(1) == test.label) & is_tested
        return {joint: (sum_per_clip(right, clip)[0], sum_per_clip(is_tested, clip)[0])}
