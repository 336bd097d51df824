"""Tiny sets in the layouts that other projects publish, of ten classes."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import torch

CLASSES = 10


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path


# importer -> the file of its name here: `write_files` writes a toy, FILE is the name of one file
LAYOUTS = {
    module.name: importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
}
PUBLISHED = {name: layout.write_files for name, layout in LAYOUTS.items()}
