"""Door to universal_pathlib: URLs of fsspec (memory://, s3://, gs://, hf://, ...) as paths.

Such a path behaves like a pathlib.Path wherever this package reads, writes and lists. `is_local`
tells where locks, links and one atomic rename work. Protocols other than file and memory need their
fsspec package.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MediaError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

# In the signature of a stage: a path, or a URL of fsspec.
PathOrURL = Path


def parse_path(text: str) -> Path:
    """Return a local path for `a/b` and `file:///a/b`, a UPath for any other URL.

    Args:
        text: a path, or a URL of fsspec.

    Raises:
        SourceError: the protocol is unknown, or its package is missing.
    """
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        path: Any = UPath(text)
        if path.protocol in ("file", "local"):
            return Path(path.path)
        path.fs  # noqa: B018 - fails now if the protocol's package is missing
    except (ValueError, ImportError) as error:
        raise SourceError(
            f"{text}: {error}; expected a path, or a URL that fsspec knows"
        ) from error
    return path  # type: ignore[no-any-return]


def is_local(path: Path) -> bool:
    """Tell whether a path is in a local file system.

    Args:
        path: as `parse_path` returns it.
    """
    return isinstance(path, Path)


def join_path(folder: Path, text: str) -> Path:
    """Return the path that a text names relative to a folder.

    Args:
        folder: where a relative path starts.
        text: a path, or a URL of fsspec.
    """
    if "://" in text:
        return parse_path(text)
    return Path(text) if Path(text).is_absolute() else folder / text


def make_absolute(path: Path) -> str:
    """Return an absolute path as text, without `..`; links are not followed.

    Args:
        path: as `parse_path` returns it.
    """
    # resolve() would follow links.
    return os.path.abspath(path) if is_local(path) else str(path)  # noqa: PTH100


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder, names of its files) for a folder and all below it, hidden ones left out.

    Links are followed, and each folder is entered once, always by the same one of several links.

    Args:
        root: local or in an object store.
    """
    if not is_local(root):
        store: Any = root
        for folder, _, files in store.fs.walk(store.path):
            below = folder.removeprefix(store.path.rstrip("/")).strip("/")
            if not any(part[:1] == "." for part in below.split("/")):
                yield (
                    root / below if below else root,
                    sorted(name for name in files if name[0] != "."),
                )
        return
    entered = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        folders[:] = (
            sorted(name for name in folders if name[0] != ".") if here not in entered else []
        )
        if here not in entered:
            yield Path(folder), sorted(name for name in names if name[0] != ".")
        entered.add(here)


def rename(part: Path, path: Path) -> None:
    """Give a finished `.part` its name: atomically, but by a copy in an object store.

    Args:
        part: the finished file.
        path: its name.
    """
    if is_local(part):
        part.replace(path)
    else:
        part.rename(path)


@contextmanager
def fetch(text: str) -> Iterator[str]:
    """Yield a local path of a media file: the file itself, or a copy while the block lasts.

    Args:
        text: a path, or a URL of fsspec.

    Raises:
        MediaError: the URL's file does not exist.
    """
    if "://" not in text:
        yield text
        return
    source = parse_path(text)
    with tempfile.NamedTemporaryFile(suffix=source.suffix) as copy:
        try:
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, copy)
        except FileNotFoundError as error:
            raise MediaError("missing_file", f"{text} does not exist") from error
        copy.flush()
        yield copy.name
