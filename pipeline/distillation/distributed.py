"""Processes that share the classes of one run, started by torchrun; one process is rank 0 of 1."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from pipeline.core.errors import EchoError, RankError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")

# Device -> backend of its gradients; Python values travel by gloo on either device.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# Rank 0 may train students for hours while the others wait. torchrun notices a dead rank earlier.
TIMEOUT = timedelta(days=7)
# torchrun stops all ranks as soon as one has ended. A rank that fails after another waits so many
# seconds, in which the other prints its message and saves its work.
ECHO_DELAY_S = 2.0
FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The processes of one run; ranks above 0 only compute, rank 0 also writes files and messages.

    Args:
        number: rank of this process.
        count: processes in all.
    """

    number: int = 0
    count: int = 1

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this rank's share: every `count`-th item.

        Args:
            items: the work of all ranks.
        """
        return list(items[self.number :: self.count])

    def all_reduce(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor, in place, by its sum over all ranks.

        Args:
            tensors: the same shapes on every rank.

        Raises:
            RankError: another rank is gone.
        """
        if self.count > 1:
            with _raise_rank_errors():
                for tensor in tensors:
                    dist.all_reduce(tensor)

    def broadcast(self, ask: Callable[[], T]) -> T:
        """Call a function on rank 0 alone and return its value on every rank.

        Args:
            ask: called without arguments; its value is pickled for the other ranks.

        Raises:
            RankError: rank 0 is gone.
        """
        if self.count == 1:
            return ask()
        box = [ask()] if self.number == 0 else [None]
        with _raise_rank_errors():
            dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]


@contextmanager
def join_ranks(ranks: Ranks, device: torch.device) -> Iterator[Ranks]:
    """Connect this process with the other ranks while the block lasts.

    The address comes from the environment variables that torchrun sets.

    Args:
        ranks: number and count of this process.
        device: its kind decides the backend.

    Raises:
        RankError: the other ranks were not found.
        EchoError: this rank failed after another, which reports the error.

    Example:
        with join_ranks(Ranks(number=1, count=4), torch.device("cuda", 1)) as ranks:
            ranks.all_reduce([gradient])
    """
    store = _init_group(ranks, device)
    try:
        yield ranks
        ranks.all_reduce([torch.zeros(())])  # wait until all ranks are done
    except (Exception, KeyboardInterrupt) as error:
        # An interrupt reaches all ranks; rank 0, which saves the work, reports it. torchrun
        # interrupts the others when a rank has failed, and that one has reported why.
        reports = (
            ranks.number == 0 and _count_failures(store, 0) == 0
            if isinstance(error, KeyboardInterrupt)
            else _count_failures(store, 1) <= 1
        )
        if not reports:
            with suppress(KeyboardInterrupt):
                time.sleep(ECHO_DELAY_S)
            raise EchoError("another rank failed first") from error
        raise
    dist.destroy_process_group()


def _count_failures(store: Store, more: int) -> int:
    """Add failures to those of all ranks, and return their number; 0 if the store is gone."""
    with suppress(RuntimeError):
        return int(store.add(FAILED, more))
    return 0


def _init_group(ranks: Ranks, device: torch.device) -> Store:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store: Store
        store, _, _ = next(rendezvous("env://", ranks.number, ranks.count))
        dist.init_process_group(
            BACKENDS[device.type],
            store=store,
            rank=ranks.number,
            world_size=ranks.count,
            timeout=TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        raise RankError(
            f"rank {ranks.number} of {ranks.count} does not find the others "
            f"({str(error).splitlines()[0]}); start all of them with torchrun"
        ) from error
    return store


@contextmanager
def _raise_rank_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RankError(
            f"another rank is gone ({str(error).splitlines()[0]}); "
            "run the same command again, it goes on from its last step"
        ) from error
