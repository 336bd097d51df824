"""Recognition: the class of a window, by its sound, by its picture, or by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from pipeline import evaluation
from pipeline.evaluation import AvddProtocol, BudgetProtocol, TaskText
from pipeline.models.heads import CLASSES

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """Recognition; it has no parameters, and its metrics are those of `evaluate.metrics`."""

    takes: ClassVar[str] = CLASSES
    protocols: ClassVar[tuple[type, ...]] = (AvddProtocol, BudgetProtocol)
    modalities: ClassVar[int] = 1
    text: ClassVar[TaskText] = TaskText(
        about="Students name the class of a window, by its sound, by its picture, or by both.",
        headline="accuracy",
    )

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Return the scores of `repeats` students of each set, each tested once.

        The recipe is chosen on the validation split, with the first set.
        """
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> StudentPredictions:
            return StudentPredictions.from_views(bench.predict(module, sets[0]), bench, clip)

        runs = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        views = runs[0].right
        details = {
            "right": {view: [run.right[view].tolist() for run in runs] for view in views},
            "windows": torch.bincount(clip).tolist(),
            "confusion": {
                view: sum(run.confusion[view] for run in runs).tolist() for view in views
            },
        }
        scores = bench.summarise_runs(sets, recipe, trials, [run.counts for run in runs])
        return replace(scores, details=details)


@dataclass(frozen=True, kw_only=True)
class StudentPredictions:
    """The predictions of one student on the test split, counted.

    Args:
        counts: metric -> view -> (sums, counts) per clip.
        right: view -> right windows per clip, int64 [clips].
        confusion: view -> int64 [classes, classes], rows are the true classes.
    """

    counts: Mapping[str, Mapping[str, Counted]]
    right: Mapping[str, Tensor]
    confusion: Mapping[str, Any]

    @classmethod
    def from_views(
        cls, views: Mapping[str, Tensor], bench: Bench, clip: Tensor
    ) -> StudentPredictions:
        """Count predictions.

        Args:
            views: view -> class probabilities [N, C] of the test windows.
            bench: the test split and the metrics.
            clip: number of each window's clip, int64 [N].
        """
        label, classes = bench.test.label, len(bench.test.classes)
        counts = {
            name: {view: metric.per_clip(p, label, clip) for view, p in views.items()}
            for name, metric in bench.metrics.items()
        }
        guesses = {view: p.argmax(1) for view, p in views.items()}
        pairs = {
            view: torch.bincount(label * classes + guess, minlength=classes**2)
            for view, guess in guesses.items()
        }
        return cls(
            counts=counts,
            right={
                view: torch.bincount(clip, weights=(guess == label).double()).long()
                for view, guess in guesses.items()
            },
            confusion={view: count.reshape(classes, classes) for view, count in pairs.items()},
        )
