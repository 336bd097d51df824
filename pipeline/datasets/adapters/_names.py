"""Names of clips become ids and groups: wherever the root lies, and in every script.

An id holds ASCII alone, because it names members of tars and files. A name with other letters, or
a long one, gets a digest of itself. Both Unicode forms of a name (NFC, NFD) are one name.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.core.paths import make_absolute
from pipeline.datasets.listing import strip_blanks
from pipeline.datasets.locations import find_below, find_spelling, refuse_undecodable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pipeline.core.records import Clip

# Names of files have at most 255 bytes; a sample adds its second, its modality and a suffix.
MAX_ID = 200


def normalise_name(text: str) -> str:
    """Return a name in Unicode's form NFC.

    Args:
        text: as the file system or a table spells it.

    Raises:
        SourceError: it is not UTF-8.
    """
    refuse_undecodable([text])
    return unicodedata.normalize("NFC", text)


def normalise_label(text: str) -> str:
    """Return a label in Unicode's form NFC, without white space around it.

    Args:
        text: the name of a folder, or the cell of a table.

    Raises:
        SourceError: it is blank, not UTF-8, or holds a control character, such as a line break.
    """
    text = strip_blanks(text)
    if not text:
        raise SourceError("a label is blank; rename its folder, or edit its row")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise SourceError(
            f"the label {text!r} holds a control character; rename its folder, or edit its row"
        )
    return normalise_name(text)


def make_id(name: str) -> str:
    """Return the id of a name; a digest is added if the name is long or not ASCII.

    Args:
        name: in Unicode's form NFC.
    """
    text = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    if name.isascii() and len(text) <= MAX_ID:
        return text
    digest = shorten_digest(digest_of(name))
    return f"{text[: MAX_ID - len(digest) - 1].strip('-')}-{digest}".removeprefix("-")


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A file that a table lists, with names that do not depend on where the table lies.

    Args:
        path: of the file.
        stem: becomes the id.
        names: tell the file from all others; the first one is its group.
    """

    path: Path
    stem: str
    names: tuple[str, str]


def name_files(
    texts: Iterable[str], folder: Path, contents: Mapping[Path, tuple[int, str]]
) -> dict[str, NamedFile]:
    """Return the files that a table lists by its cells.

    A file below the table's folder is named by its path from there, however the cell spells it.
    For absolute paths elsewhere the file's content counts, so that no other row changes a name.

    Args:
        texts: paths and URLs; several rows may list one file.
        folder: of the table.
        contents: path -> bytes and SHA-256.
    """
    paths = {text: find_spelling(folder, text) for text in texts}
    below = {text: find_below(path, folder) for text, path in paths.items()}
    below |= {
        text: posixpath.normpath(text)
        for text, name in below.items()
        if name is None and not Path(text).is_absolute()
    }
    elsewhere = {paths[text] for text, name in below.items() if name is None}
    others = _name_elsewhere(elsewhere, contents)
    return {
        text: NamedFile(path=path, stem=path.stem, names=others[path])
        if name is None
        else NamedFile(
            path=path,
            stem=posixpath.splitext(name)[0],
            names=(normalise_name(name), name),
        )
        for (text, path), name in zip(paths.items(), below.values(), strict=True)
    }


def _name_elsewhere(
    paths: Collection[Path], contents: Mapping[Path, tuple[int, str]]
) -> dict[Path, tuple[str, str]]:
    """Name files by stem and content; missing or equal ones by the path below the common folder."""
    full = {path: make_absolute(path) for path in paths}
    common = os.path.commonpath([Path(text).parent for text in full.values()]) if full else "/"
    below = {path: Path(text).relative_to(common).as_posix() for path, text in full.items()}
    unique = {path: f"{path.stem}-{shorten_digest(contents[path][1])}" for path in paths}
    counts = Counter({text: unique[path] for path, text in full.items()}.values())
    return {
        path: (unique[path] if contents[path][1] and counts[unique[path]] == 1 else name, name)
        for path, name in below.items()
    }


def make_ids_unique(clips: Iterable[tuple[Clip, tuple[str, ...]]]) -> list[Clip]:
    """Add a suffix to ids that clash (`a b.mp4`, `a-b.mp4`), and sort clips by id.

    Args:
        clips: each with names of its file that do not depend on where the root lies. The suffix is
            a digest of the first one, with label, split and span; the second one is for clips that
            still clash.

    Raises:
        SourceError: two clips are equal in all of these.
    """
    pairs = list(clips)
    rows = [clip for clip, _ in pairs]
    for level in range(max((len(names) for _, names in pairs), default=0)):
        counts = Counter(clip.clip_id for clip in rows)
        rows = [
            replace(clip, clip_id=f"{clip.clip_id}-{_digest_clip(clip, names[level])}")
            if counts[clip.clip_id] > 1
            else clip
            for clip, (_, names) in zip(rows, pairs, strict=True)
        ]
    for clip_id, count in Counter(clip.clip_id for clip in rows).items():
        if count > 1:
            raise SourceError(
                f"the clip {clip_id} is listed twice with one path, label, split and span; "
                "remove one of the rows"
            )
    return sorted(rows, key=lambda clip: clip.clip_id)


def _digest_clip(clip: Clip, name: str) -> str:
    return digest_of([name, clip.label, clip.split, clip.start_s, clip.end_s])[:8]
