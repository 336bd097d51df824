"""What torch.save wrote, read without running any of it; SourceErrors name the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


def load_file(path: Path, allowed: Sequence[Any] = ()) -> Any:
    """Tensors, numbers, text and lists and mappings of them, on the CPU.

    A pickle can run anything, so what names more is refused before it is made.

    Args:
        allowed: functions and types that may be named besides, each harmless.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); name the files that were published"
        ) from error
    except Exception as error:  # whatever a damaged or hostile pickle makes torch say
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            told = f"{path} holds more than tensors, {named[1]}, which could run code, so none of it was read"
            raise SourceError(f"{told}; have its authors save tensors alone") from error
        told = str(error).partition("\n")[0]
        raise SourceError(
            f"{path} is no file of torch.save, or is damaged ({told}); fetch it again"
        ) from error


def find_file(folder: Path, names: Sequence[str]) -> Path:
    """The first of these files that is there."""
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise SourceError(
            f"{folder} holds no {' and no '.join(names)}; name the folder of the files that were published"
        )
    return found[0]


def check_tensor(value: Any, where: object, shape: str) -> Tensor:
    """A value as a finite tensor without gradient, of as many dimensions as the shape `[A, B, ...]` names."""
    dimensions = shape.count(",") + 1
    if not isinstance(value, torch.Tensor) or value.ndim != dimensions or not len(value):
        found = (
            f"a tensor {list(value.shape)}"
            if isinstance(value, torch.Tensor)
            else type(value).__name__
        )
        raise SourceError(
            f"{where} is {found}, expected a tensor {shape}; name the layout that the files are of"
        )
    if not value.isfinite().all():
        raise SourceError(
            f"{where} holds NaN or infinite values; fetch it again, or take another experiment"
        )
    return value.detach()
