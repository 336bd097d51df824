"""Finished parts of unfinished work: what a killed run made is not made again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import tensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Named tensors in a folder, which is named by a digest of all that decides them, and removed once the work is whole."""

    folder: Path

    def kept(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The part of that name, on the CPU; made, and written atomically, only if it is not there."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            tensors.save(path, make(), {})
        return tensors.load(path)[0]

    def remove(self) -> None:
        """Called when the whole is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
