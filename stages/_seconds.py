"""What the work took, in a file of its own: no clock is part of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def write_seconds(out: Path, seconds: float, device: torch.device, threads: int = 1) -> None:
    """Write OUT's sibling .seconds.json: seconds, the device, and the networks taught at once."""
    from pipeline.files import write_json

    about = {"seconds": round(seconds, 2), "device": str(device), "threads": threads}
    write_json(out.with_suffix(".seconds.json"), about)
