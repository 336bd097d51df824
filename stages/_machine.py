"""What the machine gives, and params never say: the device, and memory that is kept instead of given back."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from pipeline.errors import ParamsError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def device_of(name: str) -> torch.device:
    """`auto` is a CUDA device where there is one; keeps big blocks, for half of a small ConvNet's time on a CPU is page faults."""
    import torch

    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):
        pass  # another C library: slower, not wrong
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ParamsError(f"--device {name}: {str(error).splitlines()[0]}; take cpu, cuda or auto") from error
    return device


def checkpoints_beside(out: Path) -> Path:
    """Where unfinished work is kept: .work in the DVC project if DVC runs us, else beside the output."""
    from pathlib import Path

    return Path(os.environ.get("DVC_ROOT", out.parent)) / ".work"
