"""Many students taught at once: one thread each on a CPU, their weights stacked on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Generic, TypeVar

import torch

from pipeline.core.rng import make_generator
from pipeline.models import model
from pipeline.models.model import AudioVisual, HeadPlugin, NetworkPlugin
from pipeline.training import loop
from pipeline.training.instances import Instances
from pipeline.training.loop import Recipe, Snapshots

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What one student learns from; `name`: the counters that name its weights and batches, the same in every row of a table."""

    data: Instances
    recipe: Recipe
    name: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class StudentTrainer:
    """Students of one network and head, and the machine that they are taught on.

    Args:
        threads: students taught at once on a CPU; each has one thread, so that their number changes no result.
        report: called with (taught, all) after each student.
    """

    network: NetworkPlugin
    head: HeadPlugin
    device: torch.device
    threads: int
    report: Callable[..., None]

    def replace_head(self, head: HeadPlugin) -> StudentTrainer:
        """The same crew with another head."""
        return replace(self, head=head)

    def train(self, lessons: Sequence[TrainingJob], read: Callable[[AudioVisual], T]) -> list[T]:
        """Teach a student per lesson, and give what `read` makes of each, in the order of the lessons."""
        return [reads[-1] for reads in self.train_with_snapshots(lessons, read, (1.0,))]

    def train_with_snapshots(
        self,
        lessons: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        """The same, read on the way too: for each lesson, what `read` made of its student after these fractions of the steps."""
        return (self._train_threaded if self.device.type == "cpu" else self._train_stacked)(
            lessons, read, fractions
        )

    def _train_threaded(
        self,
        lessons: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        stopped = threading.Event()

        def raise_if_stopped(*_: int, **__: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt

        def train_one(lesson: TrainingJob) -> list[T]:
            torch.set_num_threads(1)  # of this thread
            module, reads = self._build_student(lesson), _Snapshots(lesson.recipe, fractions, read)
            marks = Snapshots(steps=reads.steps, look=lambda step: reads.record(step, [module]))
            loop.fit(
                module,
                lesson.data,
                lesson.recipe,
                make_generator(*lesson.name, "batches"),
                self.device,
                raise_if_stopped,
                marks,
            )
            return reads.results_of(0)

        before, results = torch.get_num_threads(), []
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(train_one, lesson) for lesson in lessons]
            try:
                for future in futures:
                    results.append(future.result())
                    self.report(len(results), len(lessons))
            finally:
                stopped.set()
                pool.shutdown(cancel_futures=True)
                torch.set_num_threads(before)
        return results

    def _train_stacked(
        self,
        lessons: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        results: list[list[T]] = []
        for _, group in groupby(lessons, key=_stacking_key):
            alike = list(group)
            results += self._train_group(alike, _Snapshots(alike[0].recipe, fractions, read))
            self.report(len(results), len(lessons))
        return results

    def _train_group(self, alike: Sequence[TrainingJob], reads: _Snapshots[T]) -> list[list[T]]:
        modules = [self._build_student(lesson).to(self.device) for lesson in alike]
        generators = [make_generator(*lesson.name, "batches") for lesson in alike]
        marks = Snapshots(steps=reads.steps, look=lambda step: reads.record(step, modules))
        data = [lesson.data for lesson in alike]
        loop.fit_stacked(modules, data, alike[0].recipe, generators, self.device, marks=marks)
        return [reads.results_of(number) for number in range(len(modules))]

    def _build_student(self, lesson: TrainingJob) -> AudioVisual:
        return model.build(
            self.network,
            self.head,
            lesson.data.shapes,
            lesson.data.classes,
            make_generator(*lesson.name, "weights"),
        )


class _Snapshots(Generic[T]):
    """What is read of students that share a recipe, after some fractions of its steps."""

    def __init__(
        self, recipe: Recipe, fractions: Sequence[float], read: Callable[[AudioVisual], T]
    ) -> None:
        self.steps = [recipe.count_steps(fraction) for fraction in fractions]
        self._read = read
        self._found: dict[int, list[T]] = {}

    def record(self, step: int, modules: Sequence[AudioVisual]) -> None:
        self._found[step] = [self._read(module) for module in modules]

    def results_of(self, number: int) -> list[T]:
        """One student's reads, in the order of the fractions."""
        return [self._found[step][number] for step in self.steps]


def _stacking_key(lesson: TrainingJob) -> tuple[object, ...]:
    """What lessons must share to be stacked: the recipe, the number and shapes of the instances, and whether labels are soft."""
    data = lesson.data
    return (lesson.recipe, len(data.label), data.classes, data.shapes, sorted(data.soft))
