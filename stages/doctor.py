"""machine -> versions, device, disk, and whether its decoders keep time"""

from __future__ import annotations

from typing import Any


def doctor(*, av: bool, device: str, workers: int, report: Any) -> str:
    """Show this machine: versions, FFmpeg inside the decoders, device, processors and free disk.

    With --av, reference clips of a known flash and beep are written in every container and codec
    of a table. Each is decoded by each decoder, and by both in their default order. A line per
    clip and order shows the error of frame and beep in milliseconds, and ok, wrong or refused.
    A single decoder may refuse a clip. If the default order is wrong or refuses, the exit code
    is 1.

    Example: avdistill doctor --av
    """
    from pipeline.core.errors import MachineError
    from pipeline.media import selftest
    from stages._runtime import describe_machine

    lines = list(describe_machine(device))
    if not av:
        return "\n".join(lines)
    results = selftest.run_selftest(selftest.CASES, workers, report)
    lines += ["", *map(str, results)]
    decisive = [result for result in results if result.decisive]
    wrong = sum(not result.correct for result in decisive)
    if wrong:
        print("\n".join(lines))
        raise MachineError(
            f"{wrong} of {len(decisive)} reference clips came out wrong, see the lines above; "
            "install the versions of constraints.txt"
        )
    return "\n".join(
        [*lines, "", f"{len(decisive)} reference clips: every frame and every beep is right"]
    )
