"""Recognition: which class is a window of? By the sound, by the picture, by both."""

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
    """No parameters; the metrics are those of `evaluate.metrics`."""

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
        """Choose on the validation split with the first set, then train `repeats` students on each set and test each once."""
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, evaluation.accuracy
        )
        clip = evaluation.clip_numbers(bench.test)

        def read(module: AudioVisual) -> StudentPredictions:
            return StudentPredictions.from_views(bench.predict(module, sets[0]), bench, clip)

        seen = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        details = {
            "right": {view: [run.right[view].tolist() for run in seen] for view in seen[0].right},
            "windows": torch.bincount(clip).tolist(),
            "confusion": {
                view: sum(run.confusion[view] for run in seen).tolist()
                for view in seen[0].confusion
            },
        }
        return replace(
            bench.summarise_runs(sets, recipe, trials, [run.counted for run in seen]),
            details=details,
        )


@dataclass(frozen=True, kw_only=True)
class StudentPredictions:
    """What one student made of the test split.

    Args:
        counted: metric -> view -> what was scored and out of how much, per clip.
        right: view -> right windows per clip; `confusion`: view -> int64 [classes, classes], rows the truth.
    """

    counted: Mapping[str, Mapping[str, Counted]]
    right: Mapping[str, Tensor]
    confusion: Mapping[str, Any]

    @classmethod
    def from_views(
        cls, views: Mapping[str, Tensor], bench: Bench, clip: Tensor
    ) -> StudentPredictions:
        label, classes = bench.test.label, len(bench.test.classes)
        counted = {
            name: {view: metric.per_clip(p, label, clip) for view, p in views.items()}
            for name, metric in bench.metrics.items()
        }
        guesses = {view: p.argmax(1) for view, p in views.items()}
        pairs = {
            view: torch.bincount(label * classes + guess, minlength=classes**2)
            for view, guess in guesses.items()
        }
        return cls(
            counted=counted,
            right={
                view: torch.bincount(clip, weights=(guess == label).double()).long()
                for view, guess in guesses.items()
            },
            confusion={view: count.reshape(classes, classes) for view, count in pairs.items()},
        )
