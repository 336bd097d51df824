"""A tiny set in the layout that the importer mtt reads."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.toys.published import CLASSES, normal, save

# The name of one of its files.
FILE = "lr_best.pt"


def write_files(folder: Path, ipc: int = 2) -> Path:
    """Pictures, logits that take each row for its class, and a rate."""
    label = torch.arange(CLASSES).repeat_interleave(ipc)
    save(folder / "images_best.pt", normal(len(label), 3, 8, 8))
    save(
        folder / "labels_best.pt",
        normal(len(label), CLASSES, seed=1) + 10 * torch.eye(CLASSES)[label],
    )
    save(folder / "lr_best.pt", 0.02)
    return folder
