"""Worker processes without torch, one task at a time: a hang, crash or leak costs one task."""

from __future__ import annotations

import ctypes
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker, util
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.core.errors import EngineError, MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
R = TypeVar("R")

# Seconds between two looks at the memory of workers.
WATCH_S = 0.25
# Seconds that a worker may take to start, besides those of its first task.
START_S = 60.0
# Megabytes that a lone worker may always take; at 224 x 224 one takes 200 to 300.
WORKER_MB = 512
# Share of the usable memory that this process and its workers take at most.
SHARE = 0.9
# Signals that end a whole group of processes. They are for the parent, which stops its workers.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
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

    def __post_init__(self) -> None:
        # At exit multiprocessing sends SIGTERM, which workers do not heed, and waits for them.
        util.Finalize(self, _kill, args=(self.process,), exitpriority=0)

    def stop(self) -> None:
        _kill(self.process)
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
    usable_mb: float = math.inf,
) -> Iterator[tuple[T, R | MediaError]]:
    """Yield (task, result) as results come in; a task that failed or crashed has a MediaError.

    If the workers take more than `usable_mb`, the largest is stopped, and its task waits. Values of
    a generator are results, one by one; those of a task that has waited start again.

    Args:
        function: importable by name, for spawned processes; its module must not import torch.
        tasks: its arguments.
        workers: processes at once.
        deadline_s: seconds per task, or value of a generator, without the worker's start.
        memory_mb: resident megabytes at which a worker is killed, checked every WATCH_S seconds.
        recycle: tasks after which a worker is replaced, since decoders leak.
        usable_mb: megabytes for all workers and this process.

    Raises:
        EngineError: this machine starts no more processes.
    """
    waiting = deque(tasks)
    staff: list[_Worker] = []
    try:
        for _ in range(min(workers, len(waiting))):
            staff += [_assign(_start_worker(function), waiting.popleft(), deadline_s)]
        while staff:
            _wait_for_answers(staff)
            cap_mb = min(memory_mb, _free_memory(staff, waiting, usable_mb))
            # The workers have their next tasks before a result is used.
            yield from _advance(staff, waiting, function, deadline_s, cap_mb, recycle)
    finally:
        for worker in staff:
            worker.stop()


def _wait_for_answers(staff: list[_Worker]) -> None:
    """Wait until a worker answers or is late, at most WATCH_S."""
    left_s = min(worker.until for worker in staff) - time.monotonic()
    wait([worker.pipe for worker in staff], timeout=min(max(left_s, 0), WATCH_S))


def _free_memory(staff: list[_Worker], waiting: deque[Any], usable_mb: float) -> float:
    """Stop the largest workers until all fit, or one is left; their tasks wait again.

    Returns:
        Megabytes that each of the others may take.
    """
    left_mb = SHARE * usable_mb - measure_resident()
    sizes = [measure_resident(worker.process.pid) for worker in staff]
    while len(staff) > 1 and sum(sizes) > left_mb:
        largest = sizes.index(max(sizes))
        sizes.pop(largest)
        worker = staff.pop(largest)
        worker.stop()
        waiting.append(worker.task)
    return math.inf if len(staff) > 1 else max(left_mb, WORKER_MB)


def _advance(
    staff: list[_Worker],
    waiting: deque[Any],
    function: Callable[[Any], Any],
    deadline_s: float,
    memory_mb: float,
    recycle: int,
) -> list[tuple[Any, Any]]:
    """Return (task, result) of finished tasks, after their workers have got the next ones."""
    results = []
    for worker in list(staff):
        collected = _collect(worker, deadline_s, memory_mb)
        if collected is None:
            continue
        values, lost = collected
        results += [(worker.task, value) for value in values]
        if lost is None:
            continue
        staff.remove(worker)
        if not waiting:
            worker.stop()
            continue
        if lost or worker.done >= recycle:
            worker.stop()
            worker = _start_worker(function)
        staff.append(_assign(worker, waiting.popleft(), deadline_s))
    return results


def _collect(worker: _Worker, deadline_s: float, memory_mb: float) -> Any:
    """Return (results, whether the worker is lost), or None while it works.

    Whether it is lost is None if more results follow.
    """
    if worker.pipe.poll():
        try:
            worker.ready, worker.until = True, time.monotonic() + deadline_s
            return worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            code = worker.process.exitcode
            return [MediaError("crash", f"it crashed its process (exit code {code})")], True
    if time.monotonic() >= worker.until:
        return [MediaError("timeout", f"not done after {deadline_s:g} s")], True
    if measure_resident(worker.process.pid) > memory_mb:
        return [MediaError("memory", f"it took more than {memory_mb:.0f} MB")], True
    return None


def measure_resident(pid: int | str = "self") -> float:
    """Return the resident megabytes of a process; 0 if it is gone, or /proc is missing.

    Args:
        pid: its number; "self" is this process.
    """
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * _PAGE / 2**20


def _assign(worker: _Worker, task: Any, deadline_s: float) -> _Worker:
    with suppress(BrokenPipeError, ConnectionResetError):  # it has crashed, as `_collect` will see
        worker.pipe.send(task)
    allowed = deadline_s if worker.ready else deadline_s + START_S
    worker.task, worker.until, worker.done = task, time.monotonic() + allowed, worker.done + 1
    return worker


def _start_worker(function: Callable[[T], R]) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    try:
        with _block_signals(), _import_ours_alone(), theirs:
            process = _SPAWN.Process(target=_serve, args=(theirs, function), daemon=True)
            process.start()
            return _Worker(process=process, pipe=ours)
    except OSError as error:
        raise EngineError(
            f"this machine starts no more worker processes ({error.strerror}); lower --workers"
        ) from error


def _kill(process: Any) -> None:
    with suppress(ValueError, AttributeError):  # it is closed, or another process's
        process.kill()


@contextmanager
def _block_signals() -> Iterator[None]:
    """Hold back signals that end this process; processes that start meanwhile never get them.

    A signal may reach another thread, and Python then runs its handler here: that waits too.
    """
    resource_tracker.ensure_running()  # its start unblocks them
    before, caught = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING), list[int]()
    is_main = threading.current_thread() is threading.main_thread()
    heeded = [n for n in ENDING if is_main and callable(signal.getsignal(n))]
    handlers = {n: signal.signal(n, lambda number, _: caught.append(number)) for n in heeded}
    try:
        yield
    finally:
        for ending, handler in handlers.items():
            signal.signal(ending, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in caught[:1]:
            signal.raise_signal(number)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, whatever it does then."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != parent.pid:
        os._exit(1)


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
    _die_with_parent()
    logging.getLogger("pipeline").setLevel(logging.ERROR)  # the parent gives the warnings
    with suppress(EOFError, OSError):  # the parent is gone
        _answer(pipe, function)


def _answer(pipe: Connection, function: Callable[[T], R]) -> None:
    pipe.send(([], None))  # it has started
    while True:
        task = pipe.recv()
        try:
            values: list[Any] = [function(task)]
            for value in values.pop() if isinstance(values[0], Generator) else ():
                pipe.send(([value], None))
        except MediaError as error:
            values = [error]
        except MemoryError:
            values = [MediaError("memory", "the clip does not fit into memory")]
        except Exception as error:  # one clip must not end the run; the ledger shows the error
            values = [MediaError("decode_error", f"{type(error).__name__}: {error}"[:200])]
        pipe.send((values, False))


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
