"""Door to universal_pathlib: places that are no local paths (memory://, s3://, gs://, hf://, ...), spelled as fsspec spells them.

A place behaves like a pathlib.Path wherever this package reads, writes and lists; what only a local file system can do (locks,
links, one atomic rename) is asked for by `is_local`. The protocols beside file and memory need their fsspec package installed.
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

# What a stage's signature says for "a path, or a URL of fsspec".
Place = Path


def parse_path(text: str) -> Path:
    """A local path for `a/b` and `file:///a/b`, a UPath for any other URL; SourceError if its protocol is unknown here."""
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        found: Any = UPath(text)
        if found.protocol in ("file", "local"):
            return Path(found.path)
        found.fs  # noqa: B018 - asks for the protocol's package now
    except (ValueError, ImportError) as error:
        raise SourceError(
            f"{text}: {error}; expected a path, or a URL that fsspec knows"
        ) from error
    return found  # type: ignore[no-any-return]


def is_local(path: Path) -> bool:
    """Whether the path lies in a local file system."""
    return isinstance(path, Path)


def join_path(folder: Path, text: str) -> Path:
    """The place that `text` names as seen from a folder: itself if it is a URL or absolute."""
    if "://" in text:
        return parse_path(text)
    return Path(text) if Path(text).is_absolute() else folder / text


def make_absolute(path: Path) -> str:
    """The path as text that holds from anywhere, without `..` in it; links stay what they are."""
    return os.path.abspath(path) if is_local(path) else str(path)  # noqa: PTH100 - resolve() would follow links


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, names of its files) for a folder and all below it; what starts with a dot is passed over.

    Links are followed, and each folder is entered once: of two links to one folder it is always the same that counts.
    """
    if not is_local(root):
        for folder, _, files in root.fs.walk(root.path):  # type: ignore[attr-defined]
            below = folder.removeprefix(root.path.rstrip("/")).strip("/")  # type: ignore[attr-defined]
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
    """Give a finished `.part` its name: at once where the file system can, by copy and removal in an object store."""
    if is_local(part):
        part.replace(path)
    else:
        part.rename(path)


@contextmanager
def fetch(text: str) -> Iterator[str]:
    """A local path to read a media file at: the file itself, or a copy of what the URL names, gone at the end of the block."""
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
