"""Unfinished work in files: a kill costs the work since the last write."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core import tensors
from pipeline.core.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor


# Seconds between two writes; a write takes far less.
EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file with the state of unfinished work.

    Args:
        path: a safetensors file, rewritten as the work goes on; None for no file.
        about: JSON values that identify the work: method, ipc, seed, digest of all inputs.
            A file with others is refused.
        every_s: seconds between two writes.
    """

    path: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    every_s: float = EVERY_S

    def read(self) -> dict[str, Tensor]:
        """Return the tensors that were written last, by name; empty without a file.

        Raises:
            TensorError: the file is damaged, or belongs to other work.
        """
        if self.path is None or not self.path.exists():
            return {}
        state, header = tensors.load(self.path)
        try:
            about, digest = dict(header["about"]), header["digest"]
        except (KeyError, TypeError, ValueError) as error:
            raise self.make_error(f"holds no checkpoint ({error!r})") from error
        if about != dict(self.about):
            raise self.make_error(
                f"is a checkpoint of {_format_about(about)}, "
                f"expected one of {_format_about(self.about)}"
            )
        if digest != tensors.digest(state):
            raise self.make_error("is damaged: its tensors have changed since they were written")
        return state

    def make_error(self, why: str) -> TensorError:
        """Return the error that names the file and the remedy.

        Args:
            why: what is wrong with the file.
        """
        return TensorError(f"{self.path} {why}; remove it to start again")

    def write(self, state: dict[str, Tensor]) -> None:
        """Replace the file, atomically.

        Args:
            state: tensors by name.
        """
        if self.path is not None:
            tensors.save(
                self.path, state, {"about": dict(self.about), "digest": tensors.digest(state)}
            )

    def start_timer(self) -> Callable[[], bool]:
        """Return a function that is true once every `every_s` seconds, when a write is due."""
        last = time.monotonic()

        def is_due() -> bool:
            nonlocal last
            now = time.monotonic()
            due = self.path is not None and now - last >= self.every_s
            last = now if due else last
            return due

        return is_due


def _format_about(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


@dataclass(frozen=True, kw_only=True)
class PartialResults:
    """Finished parts of unfinished work: named tensors in a folder.

    Args:
        folder: named after a digest of all inputs of the work.
    """

    folder: Path

    def load_or_make(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return a part on the CPU; a part that is not there yet is made and written, atomically.

        Args:
            name: of the part.
            make: returns its tensors.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            tensors.save(path, make(), {})
        return tensors.load(path)[0]

    def remove(self) -> None:
        """Remove the folder, once the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
