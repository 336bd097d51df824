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

    from torch import Tensor

    from pipeline.core.paths import AnyPath

# Libraries whose tensors a file is read as. numpy spares a command the two seconds that importing
# torch takes.
TORCH, NUMPY = "pt", "numpy"


def save(path: AnyPath, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a header, atomically; the same input gives the same bytes.

    Args:
        path: a safetensors file.
        tensors: by name, on any device.
        header: JSON values.
    """
    from safetensors.torch import save_file

    with create_file(path) as part:
        whole = {
            name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())
        }
        save_file(whole, part, metadata={"header": json.dumps(header, sort_keys=True)})


def load(path: AnyPath, kind: str = TORCH) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors by name, on the CPU, and the header.

    Args:
        path: a file that `save` wrote.
        kind: TORCH or NUMPY.

    Raises:
        TensorError: the file is missing, damaged or another program's.
    """
    try:
        with safetensors.safe_open(path, framework=kind) as file:
            header = json.loads((file.metadata() or {})["header"])
            names = file.keys()  # the file itself cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, header
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise TensorError(
            f"{path} is not a tensor file of avdistill ({error}); "
            "remove it and run the stage that writes it again"
        ) from error


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of each tensor's name, type, shape and bytes.

    The same weights have the same digest, whatever file they come from.

    Args:
        tensors: by name, on any device.
    """
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_synthetic(path: AnyPath, synthetic: SyntheticSet) -> None:
    """Write a synthetic set for the next stage.

    Args:
        path: a safetensors file.
        synthetic: the set.
    """
    header = {
        "classes": synthetic.classes,
        "ipc": synthetic.ipc,
        "formation": synthetic.formation,
        "normalisation": {m: asdict(n) for m, n in synthetic.normalisation.items()},
        "source_key": synthetic.source_key,
        "provenance": synthetic.provenance,
    }
    save(path, synthetic.columns, header)


def load_synthetic(path: AnyPath, kind: str = TORCH) -> SyntheticSet:
    """Read a synthetic set.

    Args:
        path: a file that `save_synthetic` wrote.
        kind: TORCH, or NUMPY for rows and labels as arrays, e.g. to write them to another file.

    Raises:
        TensorError: as `load`.
    """
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
