"""Several processes that share the classes of one descent, started by torchrun; one process is a rank of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's number among `count`; numbers above 0 compute, and leave writing and telling to 0."""

    number: int = 0
    count: int = 1

    def share(self, items: Sequence[T]) -> list[T]:
        """Every count-th item: this rank's share of the work."""
        return list(items[self.number :: self.count])

    def summed(self, tensors: Iterable[torch.Tensor]) -> None:
        """Each tensor becomes, in place, the sum of all ranks' tensors."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def told(self, value: T) -> T:
        """Rank 0's value, on every rank; the others' is not looked at."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]
