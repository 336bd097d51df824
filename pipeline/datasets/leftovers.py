"""Files and folders below a dataset's root that give no clip: counted, named, never silent."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipeline.core.csv import write_rows
from pipeline.core.paths import (
    ENTERED_BEFORE,
    JUNK_NAME,
    escape_bytes,
    is_local,
    make_absolute,
    walk,
)
from pipeline.core.records import SPLITS
from pipeline.datasets.listing import (
    LISTS,
    TABLE,
    count_suffixes,
    is_media,
    is_sound,
    is_special,
    strip_blanks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.core.records import Clip

LOST, EMPTY = "label without a clip", "folder without a clip"
BROKEN, SPECIAL = "link that leads nowhere", "no regular file"
BESIDE, UNLISTED, TWIN = "sound beside videos", "media file in no row", "second file of a name"
HIDDEN, OTHER = "hidden media file", "no media file"
# Why something gives no clip -> its noun, and what follows.
PHRASES = {
    LOST: ("label", "for want of a clip ({names}): no class of that name is in the manifest"),
    EMPTY: ("folder", "without a clip ({names})"),
    BROKEN: ("link", "to nowhere ({names}); repair it, or mount its disk"),
    SPECIAL: ("special file", "({names}): pipes, sockets or devices"),
    BESIDE: ("sound", f"beside videos ({{names}}); a {TABLE} can list them"),
    UNLISTED: ("media file", "that no row names ({names})"),
    TWIN: ("media file", "({names}), for another file of that name is used"),
    ENTERED_BEFORE: ("link", "to a folder that is listed already ({names})"),
    HIDDEN: ("hidden media file", "({names})"),
    OTHER: ("file", "of other kinds, {suffixes} ({names})"),
    JUNK_NAME: ("hidden or system file", "as systems write them"),
}


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """All below a root that gives no clip.

    Args:
        names: reason, a key of PHRASES -> paths below the root, sorted.
    """

    names: dict[str, list[str]] = field(default_factory=dict)

    def describe(self) -> list[str]:
        """Return a phrase for each reason, with the first three names."""
        return [
            f"passed over {len(names)} {noun}{'s' * (len(names) > 1)} "
            + rest.format(names=join_first(names), suffixes=count_suffixes(names))
            for reason, (noun, rest) in PHRASES.items()
            if (names := self.names.get(reason))
        ]

    def write(self, manifest: Path) -> list[str]:
        """Write all names beside a manifest, or remove that file if there is none; describe them.

        Args:
            manifest: its sibling .skipped.csv is written.
        """
        path = manifest.with_suffix(".skipped.csv")
        rows = [(reason, name) for reason in PHRASES for name in self.names.get(reason, ())]
        named = [row for row in rows if row[0] != JUNK_NAME]
        if not named:
            path.unlink(missing_ok=True)
            return self.describe()
        write_rows(path, ("reason", "path"), named)
        return [*self.describe(), f"names are in {path}"]


def find_leftovers(root: Path, clips: list[Clip]) -> Leftovers:
    """Return what gives no clip below a root; a table that lies elsewhere has no leftovers.

    Args:
        root: of the dataset.
        clips: its clips.

    Raises:
        SourceError: a folder cannot be read.
    """
    if not root.is_dir():
        return Leftovers()
    used, is_tree = {clip.path for clip in clips}, _is_tree(root, clips)
    stems = set() if is_tree else {PurePath(path).stem for path in used}
    found: dict[str, list[Path]] = defaultdict(list)
    folders, full = [], {root}
    for folder, names in walk(root, lambda path, why: found[_explain_junk(path, why)].append(path)):
        folders.append(folder)
        for path in (folder / name for name in names):
            if make_absolute(path) in used:
                full.update((folder, *folder.parents))
            else:
                found[_explain(path, is_tree, stems)].append(path)
    for reason in (UNLISTED, TWIN, BESIDE):
        found[reason] = _drop_used(found[reason], used)
    if is_tree:
        empty = [folder for folder in folders if folder not in full and folder.parent in full]
        _sort_empty(root, empty, clips, found)
    else:
        found[OTHER] = [path for path in found[OTHER] if path.suffix.lower() not in LISTS]
    return Leftovers(
        names={
            why: sorted(_name(root, path) for path in paths)
            for why, paths in found.items()
            if paths
        }
    )


def _sort_empty(
    root: Path, empty: list[Path], clips: list[Clip], found: dict[str, list[Path]]
) -> None:
    """Tell labels without any clip from other empty folders."""
    labels = {*SPLITS, *(clip.label.partition("/")[0] for clip in clips)}
    for folder in empty:
        first, *others = _name(root, folder).split("/")
        label = others[0] if others and first in SPLITS else first
        found[EMPTY if label in labels else LOST].append(folder)


def _name(root: Path, path: Path) -> str:
    """Return the path below the root, as it can be printed and as labels are spelt."""
    below = str(path).removeprefix(f"{str(root).rstrip('/')}/")
    return unicodedata.normalize("NFC", escape_bytes(below))


def _is_tree(root: Path, clips: Iterable[Clip]) -> bool:
    """Whether the labels are the names of folders, and not those of a list."""
    start = f"{make_absolute(root).rstrip('/')}/"
    below = ((c.label, unicodedata.normalize("NFC", c.path.removeprefix(start))) for c in clips)
    folders = (
        (label, [strip_blanks(part) for part in name.split("/")[:-1]] or [""])
        for label, name in below
    )
    return not (root / TABLE).is_file() and all(
        label in ("/".join(parts), "/".join(parts[1:]) if parts[0] in SPLITS else "")
        for label, parts in folders
    )


def _explain(path: Path, is_tree: bool, stems: set[str]) -> str:
    if is_local(path) and not path.exists():
        return BROKEN
    if is_special(path):
        return SPECIAL
    if not is_media(path.name):
        return OTHER
    if is_tree and is_sound(path.name):
        return BESIDE
    return TWIN if path.stem in stems else UNLISTED


def _explain_junk(path: Path, reason: str) -> str:
    is_hidden = reason == JUNK_NAME and is_media(path.name) and path.name[:2] != "._"
    return HIDDEN if is_hidden else reason


def _drop_used(paths: list[Path], used: Iterable[str]) -> list[Path]:
    """Leave out files that some clip names by another path: over a link, or with `..`."""
    if not paths or not is_local(paths[0]):
        return paths
    real = {os.path.realpath(path) for path in used}
    return [path for path in paths if os.path.realpath(path) not in real]


def join_first(names: list[str]) -> str:
    """Return the first three names.

    Args:
        names: all of them.
    """
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)
