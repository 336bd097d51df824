"""Find files by the names that tables and folders give them, over links and in any spelling."""

from __future__ import annotations

import os
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.paths import escape_bytes, is_local, join_path, make_absolute

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_below(path: Path, folder: Path) -> str | None:
    """Return a path as it is named below a folder, also over links; None if it lies elsewhere.

    Args:
        path: local or in an object store.
        folder: the same.
    """
    text, start = make_absolute(path), make_absolute(folder).rstrip("/")
    if not text.startswith(f"{start}/") and is_local(path) and is_local(folder):
        start = os.path.realpath(folder).rstrip("/")
        parent, name = os.path.split(text)
        text = os.path.join(_name_below(parent, start), name)  # noqa: PTH118
    return text.removeprefix(f"{start}/") if text.startswith(f"{start}/") else None


@cache
def _name_below(inner: str, folder: str) -> str:
    """Return a folder by the true name of `folder` if it lies below, and the names from there."""
    for place in (Path(inner), *Path(inner).parents):
        if os.path.realpath(place) == folder:
            return str(Path(folder) / Path(inner).relative_to(place))
    return os.path.realpath(inner)


def find_spelling(folder: Path, text: str) -> Path:
    """Return the path that a text names, in the Unicode form (NFC, NFD) in which it exists.

    Args:
        folder: where a relative path starts.
        text: a path, or a URL of fsspec.
    """
    path = join_path(folder, text)
    if text.isascii() or path.exists():
        return path
    others = (join_path(folder, unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    return next((other for other in others if other.exists()), path)


def refuse_undecodable(names: Iterable[str]) -> None:
    """Refuse names of files and labels that are not UTF-8.

    Args:
        names: as Python reads them from the file system, or from a list.

    Raises:
        SourceError: one or more are not; the message names the first one.
    """
    broken = [name for name in names if escape_bytes(name) != name]
    if broken:
        others = f", like {len(broken) - 1} others," * (len(broken) > 1)
        raise SourceError(
            f"the name {escape_bytes(broken[0])}{others} is not UTF-8 text; rename the file or "
            "folder, for instance with `convmv -f latin1 -t utf8 -r --notest FOLDER`"
        )
