"""Tasks for workers, in a module without torch, as workers import none."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator


def act(task: str) -> Any:
    """What a worker does with a task, by the task's name."""
    return {
        "double": lambda: "doubledouble",
        "hang": lambda: time.sleep(60),
        "die": lambda: os._exit(11),
        "modules": lambda: sorted(name for name in ("torch", "torchaudio") if name in sys.modules),
        "refuse": lambda: (_ for _ in ()).throw(MediaError("no_audio", "none")),
        "surprise": lambda: 1 // 0,
        "pid": os.getpid,
        "grow": grow,
        "hold": hold,
        "count": count,
        "break": lambda: count(broken=True),
    }[task.rstrip("0123456789")]()


def count(broken: bool = False) -> Iterator[int]:
    """Give values one by one, and perhaps fail at the end."""
    yield from range(3)
    time.sleep(1.0)
    yield 3
    if broken:
        raise MediaError("decode_error", "it ends here")


def grow() -> None:
    """Take memory until somebody ends it."""
    held = []
    while True:
        held.append(bytearray(b"x") * 2**24)
        time.sleep(0.01)


def hold() -> str:
    """Hold memory for a second."""
    held = bytearray(b"x") * (500 * 2**20)
    time.sleep(1)
    return f"held {len(held) // 2**20} MB"
