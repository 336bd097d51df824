"""Door to Ray: a batch is one task of a cluster.

On its node it runs the local pool, so that a crash costs one clip there too.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
import signal
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import media
from pipeline.core import workers as pool
from pipeline.core.code import digest_code
from pipeline.core.errors import EngineError
from pipeline.core.files import shorten_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pipeline.core.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")

# CPUs per batch, which are also the workers of its pool.
CPUS = 1
# Batches that run or wait to be read, for each CPU of the cluster: no node idles, and no store
# fills, while the driver writes.
AHEAD = 2
# How often a batch is repeated because its node died.
RETRIES = 10
# Seconds to wait for a cluster's answer.
ANSWER_S = 10.0
# These must have one version everywhere, or nodes would make other bytes than the driver records.
LIBRARIES = ("av", "decord2", "numpy")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A Ray cluster.

    Args:
        address: host:port of a running cluster; empty: start Ray on this machine for the run.
    """

    address: str

    def work(
        self,
        function: Callable[[T], R],
        batches: Iterable[Sequence[T]],
        *,
        deadline_s: float,
        memory_mb: int,
        recycle: int,
    ) -> Iterator[tuple[T, R | MediaError]]:
        """Yield (task, result) batch by batch as they arrive; each batch runs on one node.

        Raises:
            EngineError: Ray is not installed, the cluster cannot be reached, a node has another
                version, or too many nodes died.
        """
        limits = {
            "workers": CPUS,
            "deadline_s": deadline_s,
            "memory_mb": memory_mb,
            "recycle": recycle,
        }
        with _connect(self.address) as ray:
            yield from _run_batches(ray, function, batches, limits)


def _run_batches(
    ray: Any,
    function: Callable[[T], R],
    batches: Iterable[Sequence[T]],
    limits: Mapping[str, Any],
) -> Iterator[tuple[T, R | MediaError]]:
    remote = ray.remote(num_cpus=CPUS, max_retries=RETRIES, scheduling_strategy="SPREAD")
    start = remote(_run_batch).remote
    waiting = iter(batches)
    running: set[Any] = set()
    try:
        while True:
            limit = AHEAD * max(int(ray.cluster_resources().get("CPU", 0)) // CPUS, 1)
            running |= {
                start(function, list(batch), _collect_versions(), limits)
                for batch in islice(waiting, max(limit - len(running), 0))
            }
            if not running:
                return
            # Not fetched here: one batch at a time fits into the driver's memory.
            done = ray.wait(list(running), num_returns=1, fetch_local=False)[0][0]
            running.remove(done)
            yield from _fetch_results(ray, done)
            del done
    finally:
        for task in running:
            ray.cancel(task)


def _fetch_results(ray: Any, done: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the results of a batch; any failure of Ray is an EngineError."""
    try:
        results = ray.get(done)
    except ray.exceptions.RayError as error:
        message = str(error).strip().splitlines()[-1]
        raise EngineError(
            f"Ray could not finish a batch ({message}); "
            "see that every node has avdistill, then run the same command again"
        ) from error
    if isinstance(results, EngineError):
        raise results
    yield from map(pickle.loads, results)


def _run_batch(
    function: Callable[[T], R],
    tasks: Sequence[T],
    versions: Mapping[str, str],
    limits: Mapping[str, Any],
) -> list[bytes] | EngineError:
    """Run a batch on a node.

    The results are pickled here: arrays that Ray itself transfers are read-only.
    """
    for name, expected in versions.items():
        installed = _collect_versions()[name]
        if installed != expected:
            return EngineError(
                f"the node {platform.node()} has {name} {installed}, the driver {expected}; "
                "install the same on every node"
            )
    return [pickle.dumps(result) for result in pool.work(function, tasks, **limits)]


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens; Ray itself would wait for minutes and end the process."""
    host, _, port = address.partition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()


@cache
def _collect_versions() -> dict[str, str]:
    code = shorten_digest(digest_code([__name__, media.__name__]))
    return {"avdistill's code": code, **{name: version(name) for name in LIBRARIES}}


@contextmanager
def _keep_handler(number: int) -> Iterator[None]:
    """Put a signal's handler back at the end; Ray's own ends the process without a word."""
    handler, came = signal.getsignal(number), False
    try:
        yield
    except SystemExit as error:
        came = error.code == number
        if not came:
            raise
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(number, handler)
    if came:
        signal.raise_signal(number)


@contextmanager
def _connect(address: str) -> Iterator[Any]:
    """Return the module `ray`, connected; a Ray that was started for it ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "the engine ray needs the package ray; pip install 'avdistill[ray]'"
        ) from error
    try:
        _check_reachable(address)
        with _keep_handler(signal.SIGTERM):
            ray.init(
                address or "local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise EngineError(
            f"no Ray cluster at {address or 'this machine'} ({message}); "
            "`ray start` starts one, RAY_AUTH_MODE=token connects with a token"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
