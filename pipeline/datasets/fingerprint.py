"""A cheap fingerprint of media: names, sizes and times, by which DVC notices files that changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json, write_json
from pipeline.core.paths import is_local, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

ABSENT = "absent"


def digest_listing(root: Path) -> str:
    """Return a digest of the names, sizes and times of all files in a folder, junk left out.

    It is a word if the folder does not exist, cannot be read, or is in an object store.

    Args:
        root: the media folder.
    """
    if not is_local(root) or not root.is_dir():
        return ABSENT
    digest = hashlib.sha256()
    try:
        for folder, names in walk(root):
            digest.update(os.fsencode(f"{os.path.relpath(folder, root)}\n"))
            for name in names:
                try:
                    about = os.stat(f"{folder}/{name}")  # noqa: PTH116 - of 200,000 files
                    size, time = about.st_size, about.st_mtime_ns
                except OSError:  # a link to nothing
                    size = time = -1
                digest.update(os.fsencode(f"{name}\0{size}\0{time}\n"))
    except SourceError:
        return "unreadable"
    return digest.hexdigest()[:12]


def write_listing(manifest: Path, before: str, after: str) -> None:
    """Write the listings of the media that a manifest was made from, beside it.

    Args:
        manifest: its file.
        before: digest of the listing when ingest began.
        after: the digest when it ended; an adapter may write media.
    """
    write_json(manifest.with_suffix(".media.json"), {"before": before, "after": after})


def find_changes(data: Path, names: Iterable[str]) -> dict[str, str]:
    """Return dataset -> `find_change`.

    Args:
        data: the folder of the datasets; DVC runs in the project's.
        names: of the datasets.

    Raises:
        SourceError: a link leads a dataset out of the project; DVC would refuse its results.
    """
    here = Path.cwd().resolve()
    for name in names:
        place = (data / name).resolve()
        if not data.is_absolute() and not place.is_relative_to(here):
            raise SourceError(
                f"{data}/{name} lies behind a link, at {place}, and DVC keeps no results outside "
                f"of {here}; link {data}/{name}/media alone, and move DVC's cache to the other "
                "disk: docs/guide/dvc.md, Data on another disk"
            )
    return {name: find_change(data / name) for name in names}


def find_change(folder: Path) -> str:
    """Return a digest that differs from the last ingest's if the media changed since.

    Media that are absent are no change: a clone may have results without the media.

    Args:
        folder: of the dataset, with `media` and, after an ingest, `manifest.media.json`.
    """
    now = digest_listing(folder / "media")
    try:
        last = read_json(folder / "manifest.media.json", "ingest")
        return str(last["before"] if now in (last["after"], ABSENT) else now)
    except (SourceError, KeyError, TypeError):
        return now
