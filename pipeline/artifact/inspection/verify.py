"""A stranger's file, opened where it can do no harm: in a process of its own, with little memory and little time."""

from __future__ import annotations

import resource
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifact import find_faults, read_about, read_unchecked
from pipeline.artifact.inspection.findings import Finding, Severity, find_remarks
from pipeline.core import workers as pool
from pipeline.core.errors import ArtifactError, MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# For the structure and the attributes: seconds, and MiB above what the process has when it starts.
PARSE_S, PARSE_MIB = 1.0, 200
# For the rows: seconds per GiB that they declare, and how many times those are held at once (stored, whole, and compared).
ROWS_S, HELD = 120.0, 6
# What workers may hold is limited by the system, not by the pool's looking at them.
RESIDENT_MB = 2**20
RECYCLE = 500


def verify_files(files: Sequence[Path]) -> Iterator[tuple[Path, list[Finding]]]:
    """Each file, in their order, with everything that is to be said of it; nothing at all if it is as it should be.

    Two processes read it: one the structure and the attributes, within a second and 200 MiB; then, if these are whole, another one
    the rows. What hangs, grows or takes its process down is one CRITICAL finding.
    """
    declared = _run_workers(_parse, [str(file) for file in files], PARSE_S)
    sound = {name: size for name, size in declared.items() if isinstance(size, int)}
    allowed = PARSE_S + ROWS_S * max(sound.values(), default=0) / 2**30
    examined = _run_workers(_examine, list(sound.items()), allowed)
    for file in files:
        name = str(file)
        found = examined[name, sound[name]] if name in sound else declared[name]
        yield (
            file,
            found
            if isinstance(found, list)
            else [Finding(severity=Severity.CRITICAL, text=_describe_failure(file, found))],
        )


def refuse_damaged(*files: Path) -> None:
    """Raise an ArtifactError for the first CRITICAL finding, before any of the files is opened in this process."""
    for _, found in verify_files(files):
        if wrong := [finding.text for finding in found if finding.severity is Severity.CRITICAL]:
            raise ArtifactError(wrong[0])


def _run_workers(function: Any, tasks: list[Any], deadline_s: float) -> dict[Any, Any]:
    return dict(
        pool.work(
            function,
            tasks,
            workers=1,
            deadline_s=deadline_s,
            memory_mb=RESIDENT_MB,
            recycle=RECYCLE,
        )
    )


def _describe_failure(file: Path, found: str | MediaError) -> str:
    return found if isinstance(found, str) else f"{file} is damaged: {found.detail}; fetch it again"


def _parse(name: str) -> int | str:
    """Bytes that the rows declare, or why the file is none of the format."""
    _limit_memory(PARSE_MIB)
    try:
        kinds, _ = read_about(Path(name))
    except ArtifactError as error:
        return str(error)
    return sum(kind.nbytes for kind in kinds.values())


def _examine(task: tuple[str, int]) -> list[Finding] | str:
    """What is to be said of a file whose structure is sound."""
    file, declared = Path(task[0]), task[1]
    _limit_memory(PARSE_MIB + HELD * declared // 2**20)
    try:
        found = read_unchecked(file)
    except ArtifactError as error:
        return str(error)
    wrong = [
        Finding(severity=Severity.CRITICAL, text=f"{file} {fault}")
        for fault in find_faults(found.columns, found.about)
    ]
    return wrong or list(find_remarks(found))


@cache
def _limit_memory(mib: int) -> None:
    """Take no more than so many MiB from here on; once per process and number."""
    has = (
        int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        * resource.getpagesize()
    )
    resource.setrlimit(resource.RLIMIT_AS, (has + mib * 2**20, resource.RLIM_INFINITY))
