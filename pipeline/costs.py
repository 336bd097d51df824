"""What a call costs in its worker; never imports torch, for workers import it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pipeline.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Costed(Generic[R]):
    """A result, or the refusal in its place, with the seconds of CPU and of wall that it took."""

    result: R | MediaError
    cpu_s: float
    wall_s: float


def costed(task: T, function: Callable[[T], R]) -> Costed[R]:
    """Call `function` on the task; CPU seconds are those of all threads of the process."""
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        result: R | MediaError = function(task)
    except MediaError as error:
        result = error
    return Costed(result=result, cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)
