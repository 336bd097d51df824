"""Work that is kept on its way: what a kill costs is what was done since the last write."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core import tensors
from pipeline.core.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


# Seconds between two writes: a kill costs that much, and a write far less.
EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One file that holds the state of unfinished work.

    Args:
        path: one safetensors file, written anew as the work goes on; None keeps nothing.
        about: JSON values that say whose it is: method, ipc, seed, digest of all inputs; a file that says otherwise is refused.
        every_s: seconds between two writes.
    """

    path: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    every_s: float = EVERY_S

    def read(self) -> dict[str, Tensor]:
        """What was kept last, nothing if there is none; a TensorError if it is damaged or of other work."""
        if self.path is None or not self.path.exists():
            return {}
        state, header = tensors.load(self.path)
        try:
            about, digest = dict(header["about"]), header["digest"]
        except (KeyError, TypeError, ValueError) as error:
            raise self.make_error(f"holds no checkpoint ({error!r})") from error
        if about != dict(self.about):
            raise self.make_error(
                f"is a checkpoint of {_format_about(about)}, expected one of {_format_about(self.about)}"
            )
        if digest != tensors.digest(state):
            raise self.make_error("is damaged: its tensors are not those that were written")
        return state

    def make_error(self, why: str) -> TensorError:
        """The error that names the file, and says what to do."""
        return TensorError(f"{self.path} {why}; remove it to begin anew")

    def write(self, state: dict[str, Tensor]) -> None:
        """Keep this state in place of the last one, atomically."""
        if self.path is not None:
            tensors.save(
                self.path, state, {"about": dict(self.about), "digest": tensors.digest(state)}
            )

    def start_timer(self) -> Callable[[], bool]:
        """A clock that says whether the next write is due, counted from the last time that it said so."""
        last = time.monotonic()

        def is_due() -> bool:
            nonlocal last
            now = time.monotonic()
            ringing = self.path is not None and now - last >= self.every_s
            last = now if ringing else last
            return ringing

        return is_due


def _format_about(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


@dataclass(frozen=True, kw_only=True)
class PartialResults:
    """Named tensors in a folder, which is named by a digest of all that decides them, and removed once the work is whole."""

    folder: Path

    def load_or_make(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The part of that name, on the CPU; made, and written atomically, only if it is not there."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            tensors.save(path, make(), {})
        return tensors.load(path)[0]

    def remove(self) -> None:
        """Called when the whole is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
