"""Torch-free worker processes, one task at a time each: a hang, a crash or a leak costs one task, never the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.core.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
R = TypeVar("R")

# Seconds between two looks at the memory of workers.
WATCH_S = 0.25
# Seconds that a worker may take to start, which are none of its first task's; and what it says then.
START_S = 60.0
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
    """Yield (task, result) as results come in; a MediaError stands for a task that failed, hung or took its worker down.

    Args:
        function: importable by name, so that a spawned process finds it; its module must not import torch.
        deadline_s: seconds per task, after which its worker is killed and replaced; a start takes none of them.
        memory_mb: resident megabytes of a worker, at which it is killed and replaced; looked at every WATCH_S seconds.
        recycle: tasks after which a worker is replaced, against leaks in decoders.
    """
    waiting = deque(tasks)
    staff = [
        _assign(_start_worker(function), waiting.popleft(), deadline_s)
        for _ in range(min(workers, len(waiting)))
    ]
    try:
        while staff:
            wait(
                [w.pipe for w in staff],
                timeout=min(max(min(w.until for w in staff) - time.monotonic(), 0), WATCH_S),
            )
            answers = []
            for worker in list(staff):
                result = _collect(worker, deadline_s, memory_mb)
                if result is None:
                    continue
                answers.append((worker.task, result[0]))
                staff.remove(worker)
                if not waiting:
                    worker.stop()
                    continue
                if result[1]:
                    worker.stop()
                    worker = _start_worker(function)
                staff.append(
                    _assign(_recycle(worker, function, recycle), waiting.popleft(), deadline_s)
                )
            # Every worker has its next task before anybody looks at the last one's result.
            yield from answers
    finally:
        for worker in staff:
            worker.stop()


def _collect(worker: _Worker, deadline_s: float, memory_mb: int) -> tuple[Any, bool] | None:
    """(result, whether the worker is lost), or None while it is still at work."""
    if worker.pipe.poll():
        try:
            answer = worker.pipe.recv()
            if worker.ready:
                return answer, False
            worker.ready, worker.until = True, time.monotonic() + deadline_s
            return None
        except (EOFError, ConnectionResetError):
            worker.process.join()
            return MediaError(
                "crash", f"it took its process down (exit code {worker.process.exitcode})"
            ), True
    if time.monotonic() >= worker.until:
        return MediaError("timeout", f"not done after {deadline_s:g} s"), True
    if _resident_mb(worker.process.pid) > memory_mb:
        return MediaError("memory", f"it took more than {memory_mb} MB"), True
    return None


def _resident_mb(pid: int) -> float:
    """Resident megabytes of a process; nothing where the system does not say, or the process is gone."""
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


def _recycle(worker: _Worker, function: Callable[[T], R], recycle: int) -> _Worker:
    if worker.done < recycle:
        return worker
    worker.stop()
    return _start_worker(function)


def _start_worker(function: Callable[[T], R]) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)


def _serve(pipe: Connection, function: Callable[[T], R]) -> None:
    """The worker's life: take a task, send a result; a MediaError is a result, any other error one too, as decode_error."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the parent's to answer; it ends its workers
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
        except Exception as error:  # one clip's surprise must not end the run; the ledger shows it
            result = MediaError("decode_error", f"{type(error).__name__}: {error}"[:200])
        pipe.send(result)


@dataclass(frozen=True, kw_only=True)
class TimedResult(Generic[R]):
    """A result, or the refusal in its place, with the seconds of CPU and of wall that it took."""

    result: R | MediaError
    cpu_s: float
    wall_s: float


def measure_cost(task: T, function: Callable[[T], R]) -> TimedResult[R]:
    """Call `function` on the task; CPU seconds are those of all threads of the process."""
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        result: R | MediaError = function(task)
    except MediaError as error:
        result = error
    return TimedResult(
        result=result, cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall
    )
