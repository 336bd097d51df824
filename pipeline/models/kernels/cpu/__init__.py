"""Kernels for a CPU: a ConvNet block that keeps its instances in the cache.

Results are those of the layers, up to rounding.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD = threading.local()


@contextmanager
def disable_kernels(when: bool) -> Iterator[None]:
    """Within the block, run this thread's networks layer by layer.

    For gradients that need gradients: a kernel has them, but only by running the layers once more.

    Args:
        when: False changes nothing.
    """
    before = can_use_kernels()
    _THREAD.kernels = before and not when
    try:
        yield
    finally:
        _THREAD.kernels = before


def can_use_kernels() -> bool:
    """Return whether this thread's networks may use the kernels."""
    return getattr(_THREAD, "kernels", True)
