"""Many students taught at once: one thread each on a CPU, their weights stacked on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

import torch

from pipeline import training
from pipeline.streams import stream
from pipeline.training import AudioVisual, Head, Instances, Network, Recipe

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
        return (self._side_by_side if self.device.type == "cpu" else self._stacked)(lessons, read)

    def _side_by_side(self, lessons: Sequence[Lesson], read: Callable[[AudioVisual], T]) -> list[T]:
        stopped = threading.Event()

        def stop(*_: int, **__: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt

        def teach(lesson: Lesson) -> T:
            torch.set_num_threads(1)  # of this thread
            module = self._fresh(lesson)
            training.fit(module, lesson.data, lesson.recipe, stream(*lesson.name, "batches"), self.device, stop)
            return read(module)

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

    def _stacked(self, lessons: Sequence[Lesson], read: Callable[[AudioVisual], T]) -> list[T]:
        results: list[T] = []
        for _, group in groupby(lessons, key=_form):
            alike = list(group)
            modules = [self._fresh(lesson).to(self.device) for lesson in alike]
            generators = [stream(*lesson.name, "batches") for lesson in alike]
            training.fit_stacked(modules, [lesson.data for lesson in alike], alike[0].recipe, generators, self.device)
            results += [read(module) for module in modules]
            self.report(len(results), len(lessons))
        return results

    def _fresh(self, lesson: Lesson) -> AudioVisual:
        return training.build(self.network, self.head, lesson.data, stream(*lesson.name, "weights"))


def _form(lesson: Lesson) -> tuple[object, ...]:
    """What lessons must share to be stacked: the recipe, and the number and shapes of the instances."""
    return (lesson.recipe, len(lesson.data.label), lesson.data.classes, lesson.data.shapes)
