"""Worker processes without torch, one task at a time: a hang, crash or leak costs one task."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.core.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
R = TypeVar("R")

# Seconds between two looks at the memory of workers.
WATCH_S = 0.25
# Seconds that a worker may take to start, besides those of its first task.
START_S = 60.0
# A worker's first message.
_READY = "ready"
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Spawned, not forked: a worker inherits no thread, no lock and no torch.
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(kw_only=True)
class _Worker:
    process: Any
    pipe: Connection
    task: Any = None
    until: float = 0.0
    done: int = 0
    ready: bool = False

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def work(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    workers: int,
    deadline_s: float,
    memory_mb: int,
    recycle: int,
) -> Iterator[tuple[T, R | MediaError]]:
    """Yield (task, result) as results come in.

    A MediaError is the result of a task that failed, hung or crashed its worker.

    Args:
        function: importable by name, for spawned processes; its module must not import torch.
        tasks: its arguments.
        workers: processes at once.
        deadline_s: seconds per task, after which its worker is killed and replaced; the worker's
            start does not count.
        memory_mb: resident megabytes at which a worker is killed and replaced; checked every
            WATCH_S seconds.
        recycle: tasks after which a worker is replaced, since decoders leak.
    """
    waiting = deque(tasks)
    staff = [
        _assign(_start_worker(function), waiting.popleft(), deadline_s)
        for _ in range(min(workers, len(waiting)))
    ]
    try:
        while staff:
            left_s = min(w.until for w in staff) - time.monotonic()
            wait([w.pipe for w in staff], timeout=min(max(left_s, 0), WATCH_S))
            # The workers have their next tasks before a result is used.
            yield from _advance(staff, waiting, function, deadline_s, memory_mb, recycle)
    finally:
        for worker in staff:
            worker.stop()


def _advance(
    staff: list[_Worker],
    waiting: deque[Any],
    function: Callable[[Any], Any],
    deadline_s: float,
    memory_mb: int,
    recycle: int,
) -> list[tuple[Any, Any]]:
    """Return (task, result) of finished tasks, after their workers have got the next ones."""
    results = []
    for worker in list(staff):
        collected = _collect(worker, deadline_s, memory_mb)
        if collected is None:
            continue
        result, lost = collected
        results.append((worker.task, result))
        staff.remove(worker)
        if not waiting:
            worker.stop()
            continue
        if lost or worker.done >= recycle:
            worker.stop()
            worker = _start_worker(function)
        staff.append(_assign(worker, waiting.popleft(), deadline_s))
    return results


def _collect(worker: _Worker, deadline_s: float, memory_mb: int) -> tuple[Any, bool] | None:
    """Return (result, whether the worker is lost), or None while it works."""
    if worker.pipe.poll():
        try:
            answer = worker.pipe.recv()
            if worker.ready:
                return answer, False
            worker.ready, worker.until = True, time.monotonic() + deadline_s
            return None
        except (EOFError, ConnectionResetError):
            worker.process.join()
            code = worker.process.exitcode
            return MediaError("crash", f"it crashed its process (exit code {code})"), True
    if time.monotonic() >= worker.until:
        return MediaError("timeout", f"not done after {deadline_s:g} s"), True
    if _resident_mb(worker.process.pid) > memory_mb:
        return MediaError("memory", f"it took more than {memory_mb} MB"), True
    return None


def _resident_mb(pid: int) -> float:
    """Return the resident megabytes of a process; 0 if it is gone, or /proc is missing."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * _PAGE / 2**20


def _assign(worker: _Worker, task: Any, deadline_s: float) -> _Worker:
    worker.pipe.send(task)
    allowed = deadline_s if worker.ready else deadline_s + START_S
    worker.task, worker.until, worker.done = task, time.monotonic() + allowed, worker.done + 1
    return worker


def _start_worker(function: Callable[[T], R]) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, function), daemon=True)
    with _import_ours_alone():
        process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)


@contextmanager
def _import_ours_alone() -> Iterator[None]:
    """Have processes that start meanwhile import this installation, and no main module.

    Python would run the user's script again in each of them, also one without a
    `if __name__ == "__main__"`, and a `pipeline` in the working folder would hide ours.
    """
    main, root = sys.modules["__main__"], str(Path(__file__).parents[2])
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path.remove(root)
        sys.modules["__main__"] = main


def _serve(pipe: Connection, function: Callable[[T], R]) -> None:
    """Receive tasks and send results; errors are results, all but a MediaError as decode_error."""
    # Ctrl-C is for the parent, which stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(_READY)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            result: R | MediaError = function(task)
        except MediaError as error:
            result = error
        except MemoryError:
            result = MediaError("memory", "the clip does not fit into memory")
        except Exception as error:  # one clip must not end the run; the ledger shows the error
            result = MediaError("decode_error", f"{type(error).__name__}: {error}"[:200])
        pipe.send(result)


@dataclass(frozen=True, kw_only=True)
class TimedResult(Generic[R]):
    """A result and its cost.

    Args:
        result: or the MediaError in its place.
        cpu_s: CPU seconds of all threads of the process.
        wall_s: wall-clock seconds.
    """

    result: R | MediaError
    cpu_s: float
    wall_s: float


def measure_cost(task: T, function: Callable[[T], R]) -> TimedResult[R]:
    """Call a function on a task and measure it.

    Args:
        task: the argument.
        function: may raise a MediaError.
    """
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        result: R | MediaError = function(task)
    except MediaError as error:
        result = error
    return TimedResult(
        result=result, cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall
    )
