"""List the media files below a folder."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.paths import convert_unreadable, is_local, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# In a folder it takes the place of a tree.
TABLE = "clips.csv"
# Files of each kind were decoded by pipeline/media, with the right seconds.
_VIDEO = (
    ".3g2 .3gp .amv .asf .avi .divx .dv .f4v .flv .m2t .m2ts .m2v .m4v .mjpeg .mjpg .mk3d .mkv"
    " .mov .mp4 .mp4v .mpe .mpeg .mpg .mts .mxf .nut .ogm .ogv .qt .rm .rmvb .tod .ts .vob .webm"
    " .wmv .wtv .xvid .y4m"
)
_SOUND = (
    ".3ga .aac .ac3 .adts .aif .aifc .aiff .alac .amr .ape .au .bwf .caf .dts .eac3 .flac .gsm"
    " .m4a .m4b .m4r .mka .mp2 .mp3 .mpga .oga .ogg .opus .rf64 .snd .sph .spx .tta .voc .w64"
    " .wav .wave .weba .wma .wv"
)
VIDEO, SOUND = frozenset(_VIDEO.split()), frozenset(_SOUND.split())
# Suffixes of annotation files.
LISTS = {".csv", ".tsv", ".json", ".txt"}
USUAL = "usual suffixes are .mp4, .mkv, .mov, .webm, .avi, .wav, .flac, .mp3, .m4a, .ogg"
_SHOWN = 5


def strip_blanks(text: str) -> str:
    """Return a label without white space, and marks of no width, around it.

    Args:
        text: the name of a folder, or the cell of a table.
    """
    return re.sub(r"^[\s\u200b\ufeff]+|[\s\u200b\ufeff]+$", "", text)


def is_media(name: str) -> bool:
    """Tell whether a file is a video or a sound, by its suffix; case does not matter.

    Args:
        name: of the file.
    """
    return PurePath(name).suffix.lower() in VIDEO | SOUND


def is_sound(name: str) -> bool:
    """Tell whether a file is a sound, by its suffix.

    Args:
        name: of the file.
    """
    return PurePath(name).suffix.lower() in SOUND


def is_special(path: Path) -> bool:
    """Tell whether a path is a pipe, a socket or a device; reading those can wait for ever.

    Args:
        path: local or in an object store; a link that leads nowhere is not special.
    """
    if not is_local(path):
        return False
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nothing has a row of its own; others are refused when read
        return False


def list_files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, but pipes, sockets and devices that have names of media.

    Args:
        root: the folder.

    Raises:
        SourceError: a folder cannot be read.
    """
    for folder, names in walk(root):
        for name in names:
            if not (is_media(name) and is_special(folder / name)):
                yield folder / name


def list_media(root: Path) -> list[Path]:
    """List the videos below a folder, or the sounds if there is no video, by suffix, sorted.

    Links are followed. `find_leftovers` names the files that are passed over.

    Args:
        root: the folder.

    Raises:
        SourceError: there is no such folder, no media file in it, or a folder cannot be read.
    """
    refuse_no_folder(root, f"a folder of videos, or a CSV with path,label,split ({TABLE})")
    files = sorted(list_files(root))
    media = [path for path in files if is_media(path.name)]
    if not media:
        state = "holds no video and no sound" if files else "is empty"
        found = f"; found {count_suffixes(files)}" if files else ""
        raise SourceError(
            f"{root} {state}; expected files like label/clip.mp4 or train/label/clip.mp4 "
            f"({USUAL}){found}"
        )
    if not any(path.exists() for path in media):
        raise SourceError(
            f"{root} holds {len(media)} media files, all of them links that lead nowhere, as "
            f"{media[0]} -> {os.path.realpath(media[0])}; mount their disk, or fetch them"
        )
    return [path for path in media if not is_sound(path.name)] or media


def refuse_no_folder(root: Path, expected: str) -> None:
    """Refuse a path that is no folder.

    Args:
        root: the path.
        expected: a phrase.

    Raises:
        SourceError: it is a file, does not exist, or cannot be reached.
    """
    with convert_unreadable(root):
        if root.is_dir():
            return
        state = "is a file" if root.exists() else "does not exist"
    raise SourceError(f"{root} {state}; expected {expected}")


def count_suffixes(names: Iterable[str | Path]) -> str:
    """Return the number of files by suffix, as `.txt 3, .jpg 2`, the most frequent first.

    Args:
        names: of files.
    """
    counts = Counter(PurePath(name).suffix.lower() or "no suffix" for name in names)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = len(ranked) - _SHOWN
    others = [f"{more} other suffixes"] if more > 0 else []
    return ", ".join([f"{suffix} {count}" for suffix, count in ranked[:_SHOWN]] + others)
