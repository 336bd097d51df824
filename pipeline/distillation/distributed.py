"""Several processes that share the classes of one descent, started by torchrun; one process is a rank of one."""

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

# Device -> what gradients travel by; values and words travel by gloo on either.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# Rank 0 may teach students for hours while the others wait; a rank that died is noticed by torchrun, not by this.
PATIENCE = timedelta(days=7)
# torchrun ends all ranks when one has ended: who has nothing to say leaves the others so long to say it, and to keep their work.
SILENCE_S = 2.0
FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's number among `count`; numbers above 0 compute, and leave files and words to 0."""

    number: int = 0
    count: int = 1

    def share(self, items: Sequence[T]) -> list[T]:
        """Every count-th item: this rank's share of the work."""
        return list(items[self.number :: self.count])

    def all_reduce(self, tensors: Iterable[torch.Tensor]) -> None:
        """Each tensor becomes, in place, the sum of all ranks' tensors; a RankError if one of them is gone."""
        if self.count > 1:
            with _raise_rank_errors():
                for tensor in tensors:
                    dist.all_reduce(tensor)

    def broadcast(self, ask: Callable[[], T]) -> T:
        """What `ask` gives on rank 0, on every rank: the others do not call it, but wait; a RankError if rank 0 is gone."""
        if self.count == 1:
            return ask()
        box = [ask()] if self.number == 0 else [None]
        with _raise_rank_errors():
            dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]


@contextmanager
def join_ranks(ranks: Ranks, device: torch.device) -> Iterator[Ranks]:
    """Join the others for as long as the block lasts; where to find them torchrun has said.

    Raises:
        RankError: they cannot be joined.
        EchoError: this rank failed after another: the first to fail is the one that tells.
    """
    store = _init_group(ranks, device)
    try:
        yield ranks
        ranks.all_reduce([torch.zeros(())])  # nobody leaves before all are done
    except (Exception, KeyboardInterrupt) as error:
        # An interrupt reaches all; rank 0, which keeps the work, tells of it.
        tells = (
            ranks.number == 0 if isinstance(error, KeyboardInterrupt) else _is_first_failure(store)
        )
        if not tells:
            time.sleep(SILENCE_S)
            raise EchoError("another rank failed first") from error
        raise
    dist.destroy_process_group()


def _is_first_failure(store: Store) -> bool:
    """Whether no other rank has failed before; where the store is gone nobody else can tell."""
    with suppress(RuntimeError):
        return int(store.add(FAILED, 1)) == 1
    return True


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
            timeout=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        told = f"rank {ranks.number} of {ranks.count} does not find the others ({str(error).splitlines()[0]})"
        raise RankError(f"{told}; start all of them with torchrun") from error
    return store


@contextmanager
def _raise_rank_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        told = f"another rank is gone ({str(error).splitlines()[0]})"
        raise RankError(
            f"{told}; run the same command again, it goes on from its last step"
        ) from error
