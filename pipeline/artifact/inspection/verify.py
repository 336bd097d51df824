"""Check artifacts from sources that are not trusted, in processes of little memory and time."""

from __future__ import annotations

import resource
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifact import find_faults, read_about, read_unchecked
from pipeline.artifact.inspection.findings import Finding, Severity, find_remarks
from pipeline.core.errors import ArtifactError, MediaError
from pipeline.core.files import find_missing_locks
from pipeline.core.paths import to_path
from pipeline.core.workers import work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.core.paths import AnyPath

# Limits for structure and attributes: seconds, and MiB above the process's memory at its start.
STRUCTURE_S, STRUCTURE_MIB = 1.0, 200
# Limits for the rows: seconds per declared GiB, and the number of copies in memory at once (stored,
# unpacked, and compared).
ROWS_S, COPIES = 120.0, 6
# The system limits the memory of these workers, so the pool's own limit is out of reach.
RESIDENT_MB = 2**20
RECYCLE = 500


def verify_files(files: Sequence[AnyPath]) -> Iterator[tuple[Path, list[Finding]]]:
    """Yield each file, in order, with its findings; a file without faults has none.

    One process reads structure and attributes, within a second and 200 MiB. If they follow the
    format, another one reads the rows. A file that makes its process hang, grow or crash has one
    CRITICAL finding.

    Args:
        files: the .h5 files.
    """
    paths = [to_path(file) for file in files]
    for path in paths:
        find_missing_locks(path)
    structures = _run_workers(_read_structure, [str(path) for path in paths], STRUCTURE_S)
    sizes = {name: size for name, size in structures.items() if isinstance(size, int)}
    deadline_s = STRUCTURE_S + ROWS_S * max(sizes.values(), default=0) / 2**30
    examined = _run_workers(_examine_rows, list(sizes.items()), deadline_s)
    for file in paths:
        name = str(file)
        result = examined[name, sizes[name]] if name in sizes else structures[name]
        if not isinstance(result, list):
            text = _describe_failure(file, result)
            result = [Finding(severity=Severity.CRITICAL, text=text)]
        yield file, result


def refuse_damaged(*files: AnyPath) -> None:
    """Check files in other processes, before this one opens them.

    Args:
        files: the .h5 files.

    Raises:
        ArtifactError: a file has a CRITICAL finding; the message is the first.
    """
    for _, findings in verify_files(files):
        for finding in findings:
            if finding.severity is Severity.CRITICAL:
                raise ArtifactError(finding.text)


def _run_workers(
    function: Callable[[Any], Any], tasks: list[Any], deadline_s: float
) -> dict[Any, Any]:
    results = work(
        function,
        tasks,
        workers=1,
        deadline_s=deadline_s,
        memory_mb=RESIDENT_MB,
        recycle=RECYCLE,
    )
    return dict(results)


def _describe_failure(file: Path, failure: str | MediaError) -> str:
    if isinstance(failure, str):
        return failure
    return f"{file} is damaged: {failure.detail}; fetch it again"


def _read_structure(name: str) -> int | str:
    """Return the bytes that the rows declare, or why the file does not follow the format."""
    _limit_memory(STRUCTURE_MIB)
    try:
        types, _ = read_about(Path(name))
    except ArtifactError as error:
        return str(error)
    return sum(each.nbytes for each in types.values())


def _examine_rows(task: tuple[str, int]) -> list[Finding] | str:
    """Return the findings about a file of this name and declared bytes, or why it is unreadable."""
    file, declared = Path(task[0]), task[1]
    _limit_memory(STRUCTURE_MIB + COPIES * declared // 2**20)
    try:
        artifact = read_unchecked(file)
    except ArtifactError as error:
        return str(error)
    critical = [
        Finding(severity=Severity.CRITICAL, text=f"{file} {fault}")
        for fault in find_faults(artifact.columns, artifact.about)
    ]
    return critical or list(find_remarks(artifact))


@cache
def _limit_memory(mib: int) -> None:
    """Limit this process to so many MiB above its present memory, once per number."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
