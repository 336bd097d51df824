"""The engine of this machine: every task goes to one pool of workers, whatever its batch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from pipeline.core import workers as pool
from pipeline.shards.machine import measure_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeline.core.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Worker processes on this machine.

    Args:
        workers: processes at once.
    """

    workers: int

    def work(
        self,
        function: Callable[[T], R],
        batches: Iterable[Sequence[T]],
        *,
        deadline_s: float,
        memory_mb: int,
        recycle: int,
    ) -> Iterator[tuple[T, R | MediaError]]:
        """Yield (task, result) as results arrive."""
        return pool.work(
            function,
            chain.from_iterable(batches),
            workers=self.workers,
            deadline_s=deadline_s,
            memory_mb=memory_mb,
            recycle=recycle,
            usable_mb=measure_memory(),
        )
