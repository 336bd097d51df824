"""Door to Ray: a batch is one task of a cluster; on its node it runs the local pool, so that a crash costs one clip there too."""

from __future__ import annotations

import logging
import os
import pickle
import platform
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.core import workers as pool
from pipeline.core.errors import EngineError
from pipeline.core.files import code_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pipeline.core.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")

# CPUs that a batch asks for, and so the workers of its pool.
CPUS = 1
# Batches under way or not yet read, for each CPU of the cluster: no node idles, and no store fills, while the driver writes.
AHEAD = 2
# Times that a batch is begun anew because its node died.
RETRIES = 10
# Seconds that a cluster has to answer in.
ANSWER_S = 10.0
# What must be the same everywhere, or nodes would make other bytes than the driver writes down.
LIBRARIES = ("av", "decord2", "numpy")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Args: address: host:port of a running cluster; empty: a Ray of this machine alone is started, and ends with the run."""

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
        """Yield (task, result) batch by batch as they come in, each batch decoded on one node.

        Raises:
            EngineError: Ray is not installed, the cluster is not there, a node has another version, or too many nodes died.
        """
        limits = {
            "workers": CPUS,
            "deadline_s": deadline_s,
            "memory_mb": memory_mb,
            "recycle": recycle,
        }
        with _connect(self.address) as ray:
            begin = ray.remote(num_cpus=CPUS, max_retries=RETRIES, scheduling_strategy="SPREAD")(
                _run_batch
            )
            waiting = iter(batches)
            flying: set[Any] = set()
            try:
                while True:
                    room = AHEAD * max(int(ray.cluster_resources().get("CPU", 0)) // CPUS, 1) - len(
                        flying
                    )
                    flying |= {
                        begin.remote(function, list(batch), _collect_versions(), limits)
                        for batch in islice(waiting, max(room, 0))
                    }
                    if not flying:
                        return
                    # Not fetched here: one batch at a time fits into the driver's memory.
                    done = ray.wait(list(flying), num_returns=1, fetch_local=False)[0][0]
                    flying.remove(done)
                    yield from _read(ray, done)
                    del done
            finally:
                for task in flying:
                    ray.cancel(task)


def _read(ray: Any, done: Any) -> Iterator[tuple[Any, Any]]:
    """The answers of a batch; whatever kept Ray from giving them is an EngineError."""
    try:
        answers = ray.get(done)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[-1]
        raise EngineError(
            f"Ray could not finish a batch ({said}); see that every node has avdistill, then run the same command again"
        ) from error
    if isinstance(answers, EngineError):
        raise answers
    yield from map(pickle.loads, answers)


def _run_batch(
    function: Callable[[T], R],
    tasks: Sequence[T],
    versions: Mapping[str, str],
    limits: Mapping[str, Any],
) -> list[bytes] | EngineError:
    """What a node does with a batch; pickled by itself, for an array that Ray brings is read-only."""
    for name, there in versions.items():
        here = _collect_versions()[name]
        if here != there:
            return EngineError(
                f"the node {platform.node()} has {name} {here}, the driver {there}; install the same on every node"
            )
    return [pickle.dumps(answer) for answer in pool.work(function, tasks, **limits)]


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes where nobody listens, and ends the process."""
    host, _, port = address.partition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()


@cache
def _collect_versions() -> dict[str, str]:
    return {"avdistill's code": code_digest()[:12], **{name: version(name) for name in LIBRARIES}}


@contextmanager
def _connect(address: str) -> Iterator[Any]:
    """The module `ray`, connected; what was started for it ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "the engine ray needs the package ray; pip install 'avdistill[ray]'"
        ) from error
    try:
        _check_reachable(address)
        ray.init(
            address or "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise EngineError(
            f"no Ray cluster at {address or 'this machine'} ({said}); `ray start` makes one, RAY_AUTH_MODE=token asks with a token"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
