"""What a CPU does in a way of its own: kernels that keep an instance in the cache; results are those of the layers, rounded."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD = threading.local()


@contextmanager
def disable_kernels(asked: bool) -> Iterator[None]:
    """Within it, if asked, this thread's networks are computed layer by layer.

    For gradients that will have gradients: a kernel's have some, but only by computing the layers once more.
    """
    before = can_use_kernels()
    _THREAD.kernels = before and not asked
    try:
        yield
    finally:
        _THREAD.kernels = before


def can_use_kernels() -> bool:
    """Whether this thread's networks may go through kernels."""
    return getattr(_THREAD, "kernels", True)
