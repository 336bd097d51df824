"""Engines: batches of tasks -> an answer to each, on this machine or on a cluster; no engine changes a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeline.core.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")


class EnginePlugin(Protocol):
    """What answers tasks."""

    def work(
        self,
        function: Callable[[T], R],
        batches: Iterable[Sequence[T]],
        *,
        deadline_s: float,
        memory_mb: int,
        recycle: int,
    ) -> Iterator[tuple[T, R | MediaError]]:
        """Yield (task, result) for each task of each batch, in any order; what the limits mean stands at `pool.work`."""
