"""Many students taught at once: one thread each on a CPU, their weights stacked on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Generic, TypeVar

import torch

from pipeline.core.rng import stream
from pipeline.models import model
from pipeline.models.model import AudioVisual, Head, Network
from pipeline.training import loop
from pipeline.training.instances import Instances
from pipeline.training.loop import Marks, Recipe

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one student learns from; `name`: the counters that name its weights and batches, the same in every row of a table."""

    data: Instances
    recipe: Recipe
    name: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Students of one network and head, and the machine that they are taught on.

    Args:
        threads: students taught at once on a CPU; each has one thread, so that their number changes no result.
        report: called with (taught, all) after each student.
    """

    network: Network
    head: Head
    device: torch.device
    threads: int
    report: Callable[..., None]

    def with_head(self, head: Head) -> Crew:
        """The same crew with another head."""
        return replace(self, head=head)

    def taught(self, lessons: Sequence[Lesson], read: Callable[[AudioVisual], T]) -> list[T]:
        """Teach a student per lesson, and give what `read` makes of each, in the order of the lessons."""
        return [reads[-1] for reads in self.watched(lessons, read, (1.0,))]

    def watched(
        self,
        lessons: Sequence[Lesson],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        """The same, read on the way too: for each lesson, what `read` made of its student after these fractions of the steps."""
        return (self._side_by_side if self.device.type == "cpu" else self._stacked)(
            lessons, read, fractions
        )

    def _side_by_side(
        self,
        lessons: Sequence[Lesson],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        stopped = threading.Event()

        def stop(*_: int, **__: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt

        def teach(lesson: Lesson) -> list[T]:
            torch.set_num_threads(1)  # of this thread
            module, reads = self._fresh(lesson), _Reads(lesson.recipe, fractions, read)
            marks = Marks(steps=reads.steps, look=lambda step: reads.look(step, [module]))
            loop.fit(
                module,
                lesson.data,
                lesson.recipe,
                stream(*lesson.name, "batches"),
                self.device,
                stop,
                marks,
            )
            return reads.of(0)

        before, results = torch.get_num_threads(), []
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(teach, lesson) for lesson in lessons]
            try:
                for future in futures:
                    results.append(future.result())
                    self.report(len(results), len(lessons))
            finally:
                stopped.set()
                pool.shutdown(cancel_futures=True)
                torch.set_num_threads(before)
        return results

    def _stacked(
        self,
        lessons: Sequence[Lesson],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        results: list[list[T]] = []
        for _, group in groupby(lessons, key=_form):
            alike = list(group)
            results += self._stack(alike, _Reads(alike[0].recipe, fractions, read))
            self.report(len(results), len(lessons))
        return results

    def _stack(self, alike: Sequence[Lesson], reads: _Reads[T]) -> list[list[T]]:
        modules = [self._fresh(lesson).to(self.device) for lesson in alike]
        generators = [stream(*lesson.name, "batches") for lesson in alike]
        marks = Marks(steps=reads.steps, look=lambda step: reads.look(step, modules))
        data = [lesson.data for lesson in alike]
        loop.fit_stacked(modules, data, alike[0].recipe, generators, self.device, marks=marks)
        return [reads.of(number) for number in range(len(modules))]

    def _fresh(self, lesson: Lesson) -> AudioVisual:
        return model.build(
            self.network,
            self.head,
            lesson.data.shapes,
            lesson.data.classes,
            stream(*lesson.name, "weights"),
        )


class _Reads(Generic[T]):
    """What is read of students that share a recipe, after some fractions of its steps."""

    def __init__(
        self, recipe: Recipe, fractions: Sequence[float], read: Callable[[AudioVisual], T]
    ) -> None:
        self.steps = [recipe.until(fraction) for fraction in fractions]
        self._read = read
        self._found: dict[int, list[T]] = {}

    def look(self, step: int, modules: Sequence[AudioVisual]) -> None:
        self._found[step] = [self._read(module) for module in modules]

    def of(self, number: int) -> list[T]:
        """One student's reads, in the order of the fractions."""
        return [self._found[step][number] for step in self.steps]


def _form(lesson: Lesson) -> tuple[object, ...]:
    """What lessons must share to be stacked: the recipe, the number and shapes of the instances, and whether labels are soft."""
    data = lesson.data
    return (lesson.recipe, len(data.label), data.classes, data.shapes, sorted(data.soft))
