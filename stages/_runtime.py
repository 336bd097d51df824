"""The machine: signals, device, ranks, engine, the folder of unfinished work, and the clock."""

from __future__ import annotations

import ctypes
import getpass
import math
import os
import shutil
import signal
import tempfile
import threading
import time
import weakref
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import EchoError, OutputError, ParamsError
from pipeline.core.paths import is_local
from pipeline.shards.machine import count_processors, describe_memory, describe_processors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch

    from pipeline.shards.engines import EnginePlugin

# Packages whose versions `avdistill doctor` shows.
PACKAGES = ("torch", "torchaudio", "numba", "av", "decord2", "webdataset", "h5py", "dvc")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
# Ctrl-C, the end of a job of a queue, and a lost terminal.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds that an interrupted stage has for its cleanup, before another signal interrupts that too.
CLEANUP_S = 30.0
# Seconds after which a stage is interrupted again, if a library has swallowed the error: numpy and
# torch do so while they are imported.
AGAIN_S = 0.5


def prepare_process() -> None:
    """Make up for a user without an entry in passwd, as `docker run --user 12345` has.

    Raises:
        ParamsError: no temporary folder can be written.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        # torch names its folder in TMPDIR after the user.
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ParamsError(
            f"no temporary folder can be written ({error.strerror}); set TMPDIR to one that can"
        ) from error


class Interruption(KeyboardInterrupt):
    """A signal has asked this process to end."""


@contextmanager
def raise_signals() -> Iterator[list[int]]:
    """Raise an Interruption at SIGINT, SIGTERM or SIGHUP while the block lasts.

    More signals have no effect while the first is handled. Signals that this process ignores, as
    under nohup, stay ignored. Yields the numbers of the signals that came.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread gets signals
        return
    heeded = [n for n in ENDING if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.getsignal(number) for number in (*heeded, signal.SIGALRM)}
    for number in before:
        signal.signal(number, _make_handler(received))
    try:
        yield received
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_handler(received: list[int]) -> Callable[[int, Any], None]:
    """Return a handler that raises an Interruption, again where a library swallowed the last."""
    raised: list[weakref.ref[Interruption]] = []
    last = -math.inf

    def handle(number: int, _: Any) -> None:
        nonlocal last
        if number != signal.SIGALRM:
            received.append(number)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        if raised and raised[-1]() is not None and time.monotonic() - last < CLEANUP_S:
            return
        last, error = time.monotonic(), Interruption()
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error  # or its own traceback would keep it

    return handle


def exit_code_of(error: BaseException, received: list[int]) -> int | None:
    """Return the exit code of an interrupted stage, 128 and the signal; None for other errors.

    Args:
        error: as the stage raised it; an interrupted import may raise any.
        received: as `raise_signals` yields it.
    """
    if isinstance(error, KeyboardInterrupt) or (
        received and isinstance(error, Exception) and not isinstance(error, EchoError)
    ):
        return 128 + (received or [signal.SIGINT])[0]
    return None


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
        if "OMP_NUM_THREADS" not in os.environ:  # torch counts the host's processors
            torch.set_num_threads(min(torch.get_num_threads(), count_processors()))
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


@contextmanager
def replace_output(path: Path, inputs: Iterable[Path] = ()) -> Iterator[None]:
    """Put an existing output aside while the block writes a new one; put it back on an error.

    Args:
        path: a file or a folder; nothing happens where there is none.
        inputs: that the block reads.

    Raises:
        OutputError: the output is in an object store, or an input or the working folder lies in it.
    """
    if not path.exists():
        yield
        return
    if not is_local(path):
        raise OutputError(f"{path} exists already, and --force is for local files; remove it first")
    whole = path.resolve()
    for read in (*(each for each in inputs if is_local(each)), Path()):
        if read.resolve().is_relative_to(whole):
            raise OutputError(f"{path} holds {read}, which is needed; name another output")
    aside = path.with_name(f".{path.name}.old")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        path.replace(aside)
    except OSError as error:
        raise OutputError(f"{path} cannot be replaced ({error.strerror})") from error
    try:
        yield
    finally:
        if not path.exists():
            aside.replace(path)
        elif aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()


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
    yield f"processors    {describe_processors()}"
    yield f"memory        {describe_memory()}"
    yield f"free disk     {shutil.disk_usage('.').free / 1e9:.1f} GB here"
