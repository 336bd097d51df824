"""A tiny set in the layout that the importer dc reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.toys.published import CLASSES, normal, save

# The name of one of its files.
FILE = "res_DM_CIFAR10_ConvNet_2ipc.pt"


def write_files(folder: Path, ipc: int = 2, experiments: int = 2) -> Path:
    """One file with numpy's numbers in it."""
    label = torch.arange(CLASSES).repeat_interleave(ipc)
    data = [[normal(len(label), 3, 8, 8, seed=e), label] for e in range(experiments)]
    accuracies = {"ConvNet": [np.float64(0.25), np.float64(0.5)]}
    return save(
        folder / "res_DM_CIFAR10_ConvNet_2ipc.pt", {"data": data, "accs_all_exps": accuracies}
    )
