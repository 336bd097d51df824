"""Class-incremental learning with the set as memory: classes come in groups, and students learn from the rows of those seen.

GDumb (Prabhu et al., ECCV 2020): after each group a student is trained from scratch on the memory alone and tested on all classes
that have come so far; as the distillation literature does it (DM, Zhao and Bilen, WACV 2023, section 4.3). Classes come in
the order of their names.
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
    """`groups`: how many groups the classes come in."""

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
        """Joint accuracy after each group, on the test windows of the classes seen; `average` is their mean."""
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        stages = []
        for seen in self._stages(sets[0].classes):
            memory = [data.select((data.label < seen).nonzero().flatten(), seen) for data in sets]
            jobs = bench.make_jobs(memory, protocol.resize(recipe, len(memory[0].label)))
            stages.append((seen, bench.trainer.train(jobs, _Reader(bench, sets[0], seen))))
        counted = [
            {
                "accuracy": {
                    f"{view} after {seen}": right
                    for seen, runs in stages
                    for view, right in runs[number].items()
                }
            }
            for number in range(len(stages[0][1]))
        ]
        scores = bench.summarise_runs(sets, recipe, trials, counted)
        means = [
            [(s.sum() / n.sum()).item() for s, n in run["accuracy"].values()] for run in counted
        ]
        average = evaluation.summarise_values([sum(values) / len(values) for values in means])
        return replace(
            scores, metrics={"accuracy": {**scores.metrics["accuracy"], "average": average}}
        )

    def _stages(self, classes: int) -> list[int]:
        """How many classes have been seen after each group; fewer groups where there are fewer classes."""
        groups = min(self.groups, classes)
        return [round(classes * (i + 1) / groups) for i in range(groups)]


@dataclass(frozen=True)
class _Reader:
    """Joint right answers per clip, among the windows of the first `seen` classes."""

    bench: Bench
    data: Instances
    seen: int

    def __call__(self, module: AudioVisual) -> dict[str, Counted]:
        test = self.bench.test
        clip, among = evaluation.clip_numbers(test), test.label < self.seen
        views = self.bench.predict(module, self.data)
        joint = evaluation.pick_joint_view(views)
        right: Tensor = (views[joint].argmax(1) == test.label) & among
        return {joint: (sum_per_clip(right, clip)[0], sum_per_clip(among, clip)[0])}
