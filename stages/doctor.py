"""machine -> versions, device, room, and whether its decoders tell the time"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MachineError, MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.media.selftest import DecoderResult

PACKAGES = ("torch", "torchaudio", "numba", "av", "decord2", "webdataset", "h5py", "dvc")
DEADLINE_S, MEMORY_MB = 120.0, 4096


def doctor(*, av: bool, device: str, workers: int, report: Any) -> str:
    """Show what this machine works with: versions, FFmpeg inside the decoders, device, processors and free disk.

    With --av, clips whose flash and beep are known are written in every container and codec of a table, and decoded by each
    decoder and by both in turn: a line says how far off the frame and the beep are, in milliseconds, and ok, wrong or refused.
    One decoder may refuse a clip; where both in turn do not get it right, the exit code is 1.

    Example: avdistill doctor --av
    """
    lines = list(_describe_machine(device))
    if not av:
        return "\n".join(lines)
    answers = list(_run_selftest(workers, report))
    lines += ["", *map(str, answers)]
    wrong = sum(answer.decisive and not answer.correct for answer in answers)
    if wrong:
        print("\n".join(lines))
        raise MachineError(
            f"{wrong} of the truth clips came out wrong, see the lines above; install the versions of constraints.txt"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"{sum(answer.decisive for answer in answers)} truth clips: every frame and every beep is right",
        ]
    )


def _describe_machine(device: str) -> Iterator[str]:
    import os
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, files, version

    from stages._runtime import device_of

    yield f"python        {platform.python_version()} on {platform.platform()}"
    for name in PACKAGES:
        try:
            inside = [part.name for part in files(name) or () if part.name.startswith("libavcodec")]
            yield f"{name:13} {version(name)}" + (f" with {inside[0]}" if inside else "")
        except PackageNotFoundError:
            yield f"{name:13} absent"
    yield f"device        {device_of(device)}"
    yield f"processors    {len(os.sched_getaffinity(0))} of {os.cpu_count()}"
    yield f"free disk     {shutil.disk_usage('.').free / 1e9:.1f} GB here"


def _run_selftest(workers: int, report: Any) -> Iterator[DecoderResult]:
    """Every case in the table's order, written and checked in workers, which a decoder's crash or hang cannot leave."""
    import functools
    import tempfile
    from pathlib import Path

    from pipeline.core import workers as pool
    from pipeline.media import selftest as truth

    with tempfile.TemporaryDirectory() as folder:
        function = functools.partial(truth.examine, folder=Path(folder))
        found: dict[truth.ReferenceClip, list[DecoderResult]] = {}
        limits: Any = {
            "deadline_s": DEADLINE_S,
            "memory_mb": MEMORY_MB,
            "recycle": len(truth.CASES),
        }
        for case, result in pool.work(function, truth.CASES, workers=workers, **limits):
            found[case] = (
                truth.report_failure(case, result) if isinstance(result, MediaError) else result
            )
            report(len(found), len(truth.CASES))
    for case in truth.CASES:
        yield from found[case]
