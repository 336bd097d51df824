"""Door to safetensors: tensors and a JSON header between stages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import safetensors

from pipeline.core.errors import TensorError
from pipeline.core.files import create_file
from pipeline.core.records import Normalisation, SyntheticSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

# What a file's tensors are read as: torch's, or numpy's, which spares a short command the two seconds that importing torch takes.
TORCH, NUMPY = "pt", "numpy"


def save(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON header, atomically; the same input gives the same bytes."""
    from safetensors.torch import save_file

    with create_file(path) as part:
        whole = {
            name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())
        }
        save_file(whole, part, metadata={"header": json.dumps(header, sort_keys=True)})


def load(path: Path, kind: str = TORCH) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote; a TensorError names the file."""
    try:
        with safetensors.safe_open(path, framework=kind) as file:
            header = json.loads((file.metadata() or {})["header"])
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise TensorError(
            f"{path} is no tensor file of ours ({error}); remove it and run the stage that writes it again"
        ) from error


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over each tensor's name, type, shape and bytes: the same weights have the same digest, whatever file held them."""
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_synthetic(path: Path, synthetic: SyntheticSet) -> None:
    """Write a synthetic set between stages, as safetensors with a JSON header."""
    header = {
        "classes": synthetic.classes,
        "ipc": synthetic.ipc,
        "formation": synthetic.formation,
        "normalisation": {m: asdict(n) for m, n in synthetic.normalisation.items()},
        "source_key": synthetic.source_key,
        "provenance": synthetic.provenance,
    }
    save(path, synthetic.columns, header)


def load_synthetic(path: Path, kind: str = TORCH) -> SyntheticSet:
    """Read what `save_synthetic` wrote; of kind NUMPY its rows and labels are arrays, for those who only write them down."""
    columns, header = load(path, kind)
    return SyntheticSet.from_columns(
        columns,
        classes=tuple(header["classes"]),
        ipc=header["ipc"],
        formation={m: (grid[0], grid[1]) for m, grid in header["formation"].items()},
        normalisation={
            m: Normalisation.from_json(value) for m, value in header["normalisation"].items()
        },
        source_key=tuple(header["source_key"]),
        provenance=header["provenance"],
    )
