"""A tiny set in the layout that the importer avdd reads."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.toys.published import CLASSES, normal, save

# The name of one of its files.
FILE = "exp_0_imgSyn_5000.pt"


def write_files(folder: Path, ipc: int = 10, ending: str = "pt") -> Path:
    """Whole files of one experiment."""
    save(folder / f"exp_0_imgSyn_5000.{ending}", normal(CLASSES * ipc, 3, 8, 8))
    save(folder / f"exp_0_audSyn_5000.{ending}", -40 + 20 * normal(CLASSES * ipc, 1, 8, 4, seed=1))
    return folder


def classwise(folder: Path, ipc: int = 10) -> Path:
    """The same values by class, pictures plain."""
    whole = {
        name: torch.load(write_files(folder / "whole", ipc) / f"exp_0_{name}_5000.pt")
        for name in ("imgSyn", "audSyn")
    }
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.425, 0.396, 0.370], [0.229, 0.224, 0.221])
    )
    for c in range(CLASSES):
        own = slice(c * ipc, (c + 1) * ipc)
        image = (whole["imgSyn"][own] * std + mean).clamp(0, 1)
        save(
            folder / f"class:{c}.pt",
            {0: {"audio_syn": {5000: whole["audSyn"][own]}, "image_syn": {5000: image}}},
        )
    return folder
