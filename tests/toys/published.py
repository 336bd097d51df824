"""Tiny sets in the layouts that other projects publish, of ten classes, as the importers' values in params.yaml have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

CLASSES = 10


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path


def avdd(folder: Path, ipc: int = 10, ending: str = "pt") -> Path:
    """Whole files of one experiment."""
    save(folder / f"exp_0_imgSyn_5000.{ending}", normal(CLASSES * ipc, 3, 8, 8))
    save(folder / f"exp_0_audSyn_5000.{ending}", -40 + 20 * normal(CLASSES * ipc, 1, 8, 4, seed=1))
    return folder


def classwise(folder: Path, ipc: int = 10) -> Path:
    """The same values by class, pictures plain."""
    whole = {
        name: torch.load(avdd(folder / "whole", ipc) / f"exp_0_{name}_5000.pt")
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


def dc(folder: Path, ipc: int = 2, experiments: int = 2) -> Path:
    """One file with numpy's numbers in it."""
    label = torch.arange(CLASSES).repeat_interleave(ipc)
    data = [[normal(len(label), 3, 8, 8, seed=e), label] for e in range(experiments)]
    accuracies = {"ConvNet": [np.float64(0.25), np.float64(0.5)]}
    return save(
        folder / "res_DM_CIFAR10_ConvNet_2ipc.pt", {"data": data, "accs_all_exps": accuracies}
    )


def mtt(folder: Path, ipc: int = 2) -> Path:
    """Pictures, logits that take each row for its class, and a rate."""
    label = torch.arange(CLASSES).repeat_interleave(ipc)
    save(folder / "images_best.pt", normal(len(label), 3, 8, 8))
    save(
        folder / "labels_best.pt",
        normal(len(label), CLASSES, seed=1) + 10 * torch.eye(CLASSES)[label],
    )
    save(folder / "lr_best.pt", 0.02)
    return folder


PUBLISHED = {"avdd": avdd, "dc": dc, "mtt": mtt}
