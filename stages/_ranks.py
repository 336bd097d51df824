"""Which of several processes this one is, for a stage that torchrun started."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import EchoError, ParamsError
from stages._machine import device_of, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.ranks import Ranks


@contextmanager
def ranks_of(stage: str, splits: bool, device: str) -> Iterator[Ranks | None]:
    """This process's rank, joined with the others while the block lasts; None for stages that do not split.

    Raises:
        ParamsError: torchrun started several processes of a stage that does not split; an EchoError in all of them but one.
    """
    number, count = started()
    if not splits:
        if count > 1:
            told = f"`avdistill {stage}` has nothing to split over {count} ranks; start it without torchrun"
            raise EchoError(told) if number else ParamsError(told)
        yield None
        return
    from pipeline.ranks import Ranks, joined

    ranks = Ranks(number=number, count=count)
    if count == 1:
        yield ranks
        return
    with joined(ranks, device_of(device)):
        yield ranks
