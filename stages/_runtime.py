"""The machine: device, ranks, engine, the folder of unfinished work, and the clock."""

from __future__ import annotations

import ctypes
import os
from dataclasses import fields
from typing import TYPE_CHECKING

from pipeline.core.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

    from pipeline.shards.engines import EnginePlugin

# Packages whose versions `avdistill doctor` shows.
PACKAGES = ("torch", "torchaudio", "numba", "av", "decord2", "webdataset", "h5py", "dvc")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def device_of(name: str) -> torch.device:
    """Return the device of that name, with deterministic convolutions.

    Also makes malloc keep large blocks: page faults are half of a small ConvNet's time on a CPU.

    Args:
        name: cpu, cuda, cuda:1, or auto: CUDA where there is a GPU, and one GPU per local rank.

    Raises:
        ParamsError: this machine has no such device.
    """
    import torch

    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):
        pass  # another C library: slower, not wrong
    try:
        device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
        )
        if device.type == "cuda" and device.index is None and read_rank_and_count()[1] > 1:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.empty(0, device=device)
        # The same bits each time: otherwise some gradients are summed in any order.
        torch.backends.cudnn.deterministic = True
    except (RuntimeError, AssertionError) as error:
        raise ParamsError(
            f"--device {name}: {str(error).splitlines()[0]}; take cpu, cuda or auto"
        ) from error
    return device


def read_rank_and_count() -> tuple[int, int]:
    """Return this process's rank and the number of ranks, as torchrun sets them; else (0, 1)."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def engine_of(name: str, workers: int, address: str) -> EnginePlugin:
    """Build an engine with those machine knobs that it takes.

    Args:
        name: a plugin of pipeline/shards/engines.
        workers: processes that decode.
        address: host:port of a cluster, or "".

    Raises:
        ParamsError: the engine takes no address, and one is given.
    """
    from pipeline.core import plugins

    kind = plugins.find("engine", name)
    knobs = {"workers": workers, "address": address}
    taken = {field.name: knobs[field.name] for field in fields(kind)}
    if address and "address" not in taken:
        raise ParamsError(
            f"--address {address}: the engine {name} runs on this machine alone; "
            "add --engine ray, or leave it out"
        )
    engine: EnginePlugin = kind(**taken)
    return engine


def checkpoint_folder_of(out: Path) -> Path:
    """Return the folder of unfinished work: .work in the DVC project, else beside the output.

    Args:
        out: the stage's output.
    """
    from pathlib import Path

    return Path(os.environ.get("DVC_ROOT", out.parent)) / ".work"


def write_seconds(out: Path, seconds: float, device: torch.device, threads: int = 1) -> None:
    """Write the sibling .seconds.json of an output.

    Args:
        out: the stage's output.
        seconds: wall time of the work, earlier runs included.
        device: where it ran.
        threads: networks trained at once.
    """
    from pipeline.core.files import write_json

    about = {"seconds": round(seconds, 2), "device": str(device), "threads": threads}
    write_json(out.with_suffix(".seconds.json"), about)


def describe_machine(device: str) -> Iterator[str]:
    """Yield lines with the versions, the device, the processors and the free disk of this machine.

    Args:
        device: cpu, cuda or auto.
    """
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, files, version

    yield f"python        {platform.python_version()} on {platform.platform()}"
    for name in PACKAGES:
        try:
            names = [path.name for path in files(name) or ()]
            ffmpeg = next((name for name in names if name.startswith("libavcodec")), "")
            yield f"{name:13} {version(name)}" + (f" with {ffmpeg}" if ffmpeg else "")
        except PackageNotFoundError:
            yield f"{name:13} absent"
    yield f"device        {device_of(device)}"
    yield f"processors    {len(os.sched_getaffinity(0))} of {os.cpu_count()}"
    yield f"free disk     {shutil.disk_usage('.').free / 1e9:.1f} GB here"
