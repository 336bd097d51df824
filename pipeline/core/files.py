"""Atomic files and folders: written beside their place as `.part`, then renamed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import OutputError, SourceError
from pipeline.core.paths import is_local, rename, to_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import FileLock

    from pipeline.core.paths import AnyPath

LOG = logging.getLogger(__name__)
# Errors of flock on a file system that has no locks; 524 is the kernel's own ENOTSUPP.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, 524)
# Folders on such file systems, as far as they were met.
_UNLOCKED: set[Path] = set()


def refuse_existing(path: AnyPath) -> None:
    """Refuse an output before any work is done.

    Args:
        path: a file or a folder.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    path = to_path(path)
    if path.exists():
        raise OutputError(f"{path} exists already; name another output, or replace it with --force")
    if not is_local(path):
        return  # an object store refuses when it is written to
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(
            f"{path} cannot be written: {nearest} is not a folder with write permission; "
            "name another output"
        )


@contextmanager
def create_file(path: AnyPath) -> Iterator[Path]:
    """Yield a `.part` file to write; it becomes `path` at the end, or is removed on an error.

    Args:
        path: the file; an existing one is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    path = to_path(path)
    with _convert_errors(path):
        part = _prepare_part(path)
        try:
            yield part
            rename(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def create_folder(path: AnyPath) -> Iterator[Path]:
    """Yield an empty `.part` folder; it becomes `path` at the end, or is removed on an error.

    Args:
        path: the folder.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    path = to_path(path)
    refuse_existing(path)
    part = _prepare_part(path)
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        yield part
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: AnyPath, value: Any) -> None:
    """Write indented JSON, atomically; keys keep their order.

    Args:
        path: the file.
        value: mappings, lists, texts, numbers, booleans and None.

    Raises:
        OutputError: it holds NaN or infinity, or the file cannot be written.
    """
    try:
        text = json.dumps(value, indent=1, allow_nan=False)
    except ValueError as error:
        raise OutputError(
            f"{path} would hold NaN or infinity; look at the losses for a divergence"
        ) from error
    with create_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: AnyPath, made_by: str) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        made_by: the stage that writes it, for messages.

    Raises:
        SourceError: it is missing, or is not JSON.
    """
    path = to_path(path)
    if not path.is_file():
        raise SourceError(f"{path} does not exist; it is written by `avdistill {made_by}`")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(
            f"{path} is not valid JSON ({error}); remove it and run `avdistill {made_by}` again"
        ) from error


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form: sorted keys, no spaces.

    Args:
        value: as for `write_json`.
    """
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def shorten_digest(digest: str) -> str:
    """Return the first 12 characters of a digest, for people to compare.

    Args:
        digest: hexadecimal.
    """
    return digest[:12]


def file_digest(path: AnyPath) -> str:
    """Return the SHA-256 of a file's bytes.

    Args:
        path: the file.
    """
    with to_path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def lock_output(path: Path) -> Iterator[None]:
    """Hold an output while the block lasts; never wait for it.

    Only local file systems have locks, and not all of them. Elsewhere a second run writes the same
    bytes over those of the first.

    Args:
        path: the output; the lock is a file beside it, which is removed at the end.

    Raises:
        OutputError: another process holds it.
    """
    if not is_local(path):
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    with _convert_errors(path):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = _acquire_lock(lock, path)
    try:
        yield
    finally:
        # Removed while it is held: a process that has opened it refuses a file without a name.
        lock.unlink(missing_ok=True)
        held.release()


def _acquire_lock(lock: Path, path: Path) -> FileLock:
    from filelock import FileLock, Timeout

    held = FileLock(lock, blocking=False, fallback_to_soft=False)
    try:
        held.acquire()
    except Timeout as error:
        raise OutputError(
            f"another run is writing {path}; wait for it, or name another output"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn_of_no_locks(path)
    return held


def find_missing_locks(path: Path) -> None:
    """Warn if the file system of a file has no locks.

    Args:
        path: a file that this process may read; one that is missing is passed over.
    """
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            warn_of_no_locks(path)


def warn_of_no_locks(path: Path) -> None:
    """Say that a file system has no locks, once in the life of this process.

    Args:
        path: a file on it.
    """
    if not _UNLOCKED:
        LOG.warning(
            "%s is on a file system without locks; start no second run on it meanwhile",
            path.parent.absolute(),
        )
    _UNLOCKED.add(path.parent)


@contextmanager
def _convert_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); "
            "name another output or free disk space"
        ) from error


def _prepare_part(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(path.name + ".part")
