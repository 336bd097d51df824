"""Door to universal_pathlib: URLs of fsspec (memory://, s3://, gs://, hf://, ...) as paths.

Such a path behaves like a pathlib.Path wherever this package reads, writes and lists. `is_local`
tells where locks, links and one atomic rename work. Protocols other than file and memory need their
fsspec package.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import MediaError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Names, in lower case, that systems and file servers write; so are all that start with a dot.
JUNK = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "lost+found",
    "system volume information",
    "$recycle.bin",
    "#recycle",
    "#snapshot",
    "@eadir",
    "@recycle",
    "__macosx",
}
# Why `walk` leaves a path out.
JUNK_NAME, ENTERED_BEFORE = "hidden or system file", "same folder as another one"

# In the signature of a stage: a path, or a URL of fsspec.
PathOrURL = Path
# In the signature of a function: a path of any type, or a URL of fsspec.
AnyPath = str | os.PathLike[str]


def to_path(path: AnyPath) -> Path:
    """Return the path that a caller gave.

    Args:
        path: text, a pathlib.Path or any other os.PathLike; a URL of fsspec.

    Raises:
        SourceError: as `parse_path`.
    """
    # A UPath is no os.PathLike.
    return Path(path) if isinstance(path, os.PathLike) else parse_path(str(path))


def parse_path(text: str) -> Path:
    """Return a local path for `a/b`, `~/a` and `file:///a/b`, a UPath for any other URL.

    Args:
        text: a path, or a URL of fsspec.

    Raises:
        SourceError: the protocol is unknown, or its package is missing, or ~ is no folder.
    """
    if "://" not in text:
        return _expand_home(text)
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


def _expand_home(text: str) -> Path:
    if text != "~" and not text.startswith("~/"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SourceError(
            f"{text}: your home folder is not known; write the path in full"
        ) from error


def join_path(folder: Path, text: str) -> Path:
    """Return the path that a text names relative to a folder.

    Args:
        folder: where a relative path starts.
        text: a path, or a URL of fsspec; `~/` is the home folder.
    """
    path = parse_path(text)
    return folder / text if is_local(path) and not path.is_absolute() else path


def make_absolute(path: Path) -> str:
    """Return an absolute path as text, without `..`, to the file that the system would open.

    Links stay in the path, but one before a `..` is followed: `link/..` is the folder above the
    one that the link leads to.

    Args:
        path: as `parse_path` returns it.
    """
    if not is_local(path):
        return str(path)
    if ".." not in path.parts:
        return str(path.absolute())
    place = Path(path.anchor or Path.cwd())
    for part in path.parts[bool(path.anchor) :]:
        if part != "..":
            place = place / part
        elif place.is_symlink():
            place = Path(os.path.realpath(place)).parent
        else:
            place = place.parent
    return str(place)


def escape_bytes(text: str) -> str:
    r"""Return a text that can be printed: bytes of a name that are not UTF-8 become \xe9.

    Args:
        text: a path, or a message with one.
    """
    text = re.sub("[\udc80-\udcff]", lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
    return text.encode("utf-8", "backslashreplace").decode()


def is_junk(name: str) -> bool:
    """Tell whether a file or folder is hidden, or was written by an operating system for itself.

    Args:
        name: without its folder.
    """
    return name[:1] in ("", ".") or name[:2] == "~$" or name.casefold() in JUNK


def list_folder(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files and folders in a folder, sorted; junk is left out, see `is_junk`.

    Args:
        folder: local or in an object store; it is empty if it does not exist.
        pattern: of the names, e.g. `*.json`.

    Raises:
        SourceError: the folder cannot be read.
    """
    with convert_unreadable(folder):
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if not is_junk(path.name) and fnmatchcase(path.name, pattern)]


def walk(
    root: Path, pass_over: Callable[[Path, str], None] = lambda path, reason: None
) -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder, names of its files) for a folder and all below it; junk is left out.

    Links are followed, and each folder is entered once, always by the same one of several links.

    Args:
        root: local or in an object store; it is empty if it does not exist.
        pass_over: called with each path that is left out, and JUNK_NAME or ENTERED_BEFORE.

    Raises:
        SourceError: a folder cannot be read.
    """
    entered = set()
    for place, folders, names in _walk_local(root) if is_local(root) else _walk_store(root):
        here = os.path.realpath(place) if is_local(root) else str(place)
        if here in entered:
            folders[:] = []
            pass_over(place, ENTERED_BEFORE)
            continue
        entered.add(here)
        for name in filter(is_junk, (*folders, *names)):
            pass_over(place / name, JUNK_NAME)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield place, sorted(name for name in names if not is_junk(name))


def _walk_local(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield (folder, folders, files) from the top; folders taken from the list are not entered."""

    def refuse(error: OSError) -> None:
        with convert_unreadable(Path(error.filename)):
            raise error

    with convert_unreadable(root):
        is_folder = root.is_dir()
    if is_folder:
        for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
            yield Path(folder), folders, names


def _walk_store(folder: Any) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `_walk_local`, in an object store; fsspec's own walk is silent about errors."""
    with convert_unreadable(folder):
        entries = folder.fs.ls(folder.path, detail=True) if folder.is_dir() else []
    kinds = {entry["name"].rstrip("/"): entry["type"] for entry in entries}
    kinds.pop(folder.path.rstrip("/"), None)  # the folder's own marker
    folders = [name.rpartition("/")[2] for name, kind in kinds.items() if kind == "directory"]
    yield (
        folder,
        folders,
        [n.rpartition("/")[2] for n, kind in kinds.items() if kind != "directory"],
    )
    for name in folders:
        yield from _walk_store(folder / name)


@contextmanager
def convert_unreadable(path: Path) -> Iterator[None]:
    """Raise a SourceError, as a sentence, in place of an error of the file system.

    Args:
        path: the file or folder that is read in the block.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); make it readable, or move it away"
        ) from error


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
    """Yield an absolute path of a media file: the file itself, or a copy while the block lasts.

    FFmpeg takes a relative name such as `12:30.mp4` or `pipe:0` as a protocol, an absolute one
    never.

    Args:
        text: a path, or a URL of fsspec.

    Raises:
        MediaError: the URL's file does not exist.
    """
    source = parse_path(text)
    if is_local(source):
        yield make_absolute(source)
        return
    with tempfile.NamedTemporaryFile(suffix=source.suffix) as copy:
        try:
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, copy)
        except FileNotFoundError as error:
            raise MediaError("missing_file", f"{text} does not exist") from error
        copy.flush()
        yield copy.name
