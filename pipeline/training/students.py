"""Train many students at once: one thread each on a CPU, their weights stacked on a GPU."""

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
    """The data and the recipe of one student.

    Args:
        data: its training instances.
        recipe: how it is trained.
        name: counters that name its weights and batches, the same in every row of a table.
    """

    data: Instances
    recipe: Recipe
    name: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class StudentTrainer:
    """Trains students of one network and head on one device.

    Args:
        network: builds the students' towers.
        head: builds their heads.
        device: where they are trained.
        threads: students trained at once on a CPU; each has one thread, so their number changes no
            result.
        report: called with (done, total) students after each one.
    """

    network: NetworkPlugin
    head: HeadPlugin
    device: torch.device
    threads: int
    report: Callable[..., None]

    def replace_head(self, head: HeadPlugin) -> StudentTrainer:
        """Return the same trainer with another head.

        Args:
            head: the other head.
        """
        return replace(self, head=head)

    def train(self, jobs: Sequence[TrainingJob], read: Callable[[AudioVisual], T]) -> list[T]:
        """Train a student per job; return one result each, in the order of the jobs.

        Args:
            jobs: one per student.
            read: trained student -> result.
        """
        return [results[-1] for results in self.train_with_snapshots(jobs, read, (1.0,))]

    def train_with_snapshots(
        self,
        jobs: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        """Train a student per job, and read it on the way too.

        Args:
            jobs: one per student.
            read: student -> result.
            fractions: of the steps after which students are read.

        Returns:
            For each job, the results in the order of the fractions.
        """
        train = self._train_threaded if self.device.type == "cpu" else self._train_stacked
        return train(jobs, read, fractions)

    def _train_threaded(
        self,
        jobs: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        stopped, threads = threading.Event(), torch.get_num_threads()
        results: list[list[T]] = []

        def raise_if_stopped(*_: int, **__: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt

        def train_one(job: TrainingJob) -> list[T]:
            torch.set_num_threads(1)  # of this thread
            reader = _SnapshotReader(job.recipe, fractions, read)
            self._fit(job, reader, raise_if_stopped)
            return reader.results_of(0)

        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(train_one, job) for job in jobs]
            try:
                for future in futures:
                    results.append(future.result())
                    self.report(len(results), len(jobs))
            finally:
                stopped.set()
                pool.shutdown(cancel_futures=True)
                torch.set_num_threads(threads)
        return results

    def _fit(
        self, job: TrainingJob, reader: _SnapshotReader[T], report: Callable[..., None]
    ) -> None:
        module = self._build_student(job)
        snapshots = Snapshots(
            steps=reader.steps, callback=lambda step: reader.record(step, [module])
        )
        generator = make_generator(*job.name, "batches")
        loop.fit(module, job.data, job.recipe, generator, self.device, report, snapshots)

    def _train_stacked(
        self,
        jobs: Sequence[TrainingJob],
        read: Callable[[AudioVisual], T],
        fractions: Sequence[float],
    ) -> list[list[T]]:
        results: list[list[T]] = []
        for _, group in groupby(jobs, key=_stacking_key):
            alike = list(group)
            results += self._fit_stacked(alike, _SnapshotReader(alike[0].recipe, fractions, read))
            self.report(len(results), len(jobs))
        return results

    def _fit_stacked(
        self, jobs: Sequence[TrainingJob], reader: _SnapshotReader[T]
    ) -> list[list[T]]:
        modules = [self._build_student(job).to(self.device) for job in jobs]
        generators = [make_generator(*job.name, "batches") for job in jobs]
        snapshots = Snapshots(
            steps=reader.steps, callback=lambda step: reader.record(step, modules)
        )
        data, recipe = [job.data for job in jobs], jobs[0].recipe
        loop.fit_stacked(modules, data, recipe, generators, self.device, snapshots=snapshots)
        return [reader.results_of(number) for number in range(len(modules))]

    def _build_student(self, job: TrainingJob) -> AudioVisual:
        generator = make_generator(*job.name, "weights")
        shapes, classes = job.data.shapes, job.data.classes
        return model.build(self.network, self.head, shapes, classes, generator)


class _SnapshotReader(Generic[T]):
    """Reads students that share a recipe, after fractions of its steps."""

    def __init__(
        self, recipe: Recipe, fractions: Sequence[float], read: Callable[[AudioVisual], T]
    ) -> None:
        self.steps = [recipe.count_steps(fraction) for fraction in fractions]
        self._read = read
        self._results: dict[int, list[T]] = {}

    def record(self, step: int, modules: Sequence[AudioVisual]) -> None:
        self._results[step] = [self._read(module) for module in modules]

    def results_of(self, number: int) -> list[T]:
        """Return one student's results, in the order of the fractions."""
        return [self._results[step][number] for step in self.steps]


def _stacking_key(job: TrainingJob) -> tuple[object, ...]:
    """Return the values that jobs must share to be stacked.

    They are the recipe, the number and shapes of the instances, and which labels are soft.
    """
    data = job.data
    return (job.recipe, len(data.label), data.classes, data.shapes, sorted(data.soft))
