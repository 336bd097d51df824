"""Read files of torch.save without running code in them; SourceErrors name the file."""

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
    """Load tensors, numbers and text, and lists and mappings of them, on the CPU.

    A pickle can run any code, so a file that names other types or functions is refused before any
    of them is called.

    Args:
        path: a file of torch.save.
        allowed: functions and types that may be named too, each harmless.

    Raises:
        SourceError: the file is missing, damaged, or holds more.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); name the files that were published"
        ) from error
    except Exception as error:  # torch raises errors of many types for a damaged or hostile pickle
        if match := re.search(r"GLOBAL (\S+)", str(error)):
            raise SourceError(
                f"{path} holds more than tensors, {match[1]}, which could run code, "
                "so none of it was read; ask its authors for a file of tensors alone"
            ) from error
        detail = str(error).partition("\n")[0]
        raise SourceError(
            f"{path} is not a file of torch.save, or is damaged ({detail}); fetch it again"
        ) from error


def find_file(folder: Path, names: Sequence[str]) -> Path:
    """Return the first of several files that exists.

    Args:
        folder: their folder.
        names: their names.

    Raises:
        SourceError: none of them exists.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise SourceError(
        f"{folder} holds no {' and no '.join(names)}; "
        "name the folder of the files that were published"
    )


def check_tensor(value: Any, where: object, shape: str) -> Tensor:
    """Return a value as a tensor without gradient, once its dimensions and values are checked.

    Args:
        value: an object from a file.
        where: its description, for error messages.
        shape: the expected shape as text, `[A, B, ...]`; only the number of names counts.

    Raises:
        SourceError: it is not a tensor of so many dimensions, is empty, or holds NaN or infinite
            values.
    """
    dimensions = shape.count(",") + 1
    if not isinstance(value, torch.Tensor) or value.ndim != dimensions or not len(value):
        is_tensor = isinstance(value, torch.Tensor)
        actual = f"a tensor {list(value.shape)}" if is_tensor else type(value).__name__
        raise SourceError(
            f"{where} is {actual}, expected a tensor {shape}; name the layout that the files have"
        )
    if not value.isfinite().all():
        raise SourceError(
            f"{where} holds NaN or infinite values; fetch it again, or take another experiment"
        )
    return value.detach()
