"""Engines: run a function on batches of tasks, on this machine or on a cluster.

No engine changes a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeline.core.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")


class EnginePlugin(Protocol):
    """A way to run tasks."""

    def work(
        self,
        function: Callable[[T], R],
        batches: Iterable[Sequence[T]],
        *,
        deadline_s: float,
        memory_mb: int,
        recycle: int,
    ) -> Iterator[tuple[T, R | MediaError]]:
        """Yield (task, result) for each task of each batch, in any order.

        Args:
            function: importable by name; its module must not import torch.
            batches: of tasks; the tasks of a batch run on one machine.
            deadline_s: seconds per task, see `pipeline.core.workers.work`.
            memory_mb: resident megabytes per worker.
            recycle: tasks after which a worker is replaced.
        """
