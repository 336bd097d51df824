"""What adapters share: media files under a folder, their clip ids, and a validation split carved from train by group."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.files import file_digest
from pipeline.core.paths import make_absolute, walk
from pipeline.core.records import SPLITS, Clip

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOKALIKES = {*SPLITS, "training", "valid", "validation", "testing", "dev", "eval"}
VIDEO = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".flv"}
SOUND = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac"}


class Contents(dict[Path, tuple[int, str]]):
    """Path -> bytes and SHA-256, each file read once; 0 and "" for a file that is not there."""

    def __missing__(self, path: Path) -> tuple[int, str]:
        try:
            self[path] = (path.stat().st_size, file_digest(path)) if path.is_file() else (0, "")
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read ({error.strerror}); make it readable or remove it"
            ) from error
        return self[path]


def list_media(root: Path) -> list[Path]:
    """Every video below a folder, or every sound where there is no video, by suffix, sorted.

    Links are followed; what starts with a dot is passed over.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise SourceError(
            f"{root} {found}; expected a folder of videos, or a CSV with path,label,split"
        )
    shown = [folder / name for folder, names in walk(root) for name in names]
    videos, sounds = (
        sorted(path for path in shown if path.suffix.lower() in suffixes)
        for suffixes in (VIDEO, SOUND)
    )
    if not videos and not sounds:
        held = "is empty" if not any(root.iterdir()) else "holds no video and no sound"
        raise SourceError(
            f"{root} {held}; expected files like label/clip.mp4 or train/label/clip.mp4 ({', '.join(sorted(VIDEO | SOUND))})"
        )
    return videos or sounds


def list_clips(root: Path) -> list[Clip]:
    """The clips of a `split/label/*.mp4` tree, or of a `label/*.mp4` tree (all of them then in train)."""
    clips = []
    for path in list_media(root):
        folders = path.relative_to(root).parts[:-1]
        split, labels = (
            (folders[0], folders[1:]) if folders and folders[0] in SPLITS else ("train", folders)
        )
        if folders and folders[0] not in SPLITS and folders[0].lower() in LOOKALIKES:
            raise SourceError(
                f"{root / folders[0]} looks like a split and is none; rename it to one of {', '.join(SPLITS)}"
            )
        if not labels:
            raise SourceError(
                f"{path} lies outside of any label's folder; move it to {root}/<label>/ or {root}/<split>/<label>/"
            )
        clips.append(
            clip_of(
                path, path.relative_to(root).with_suffix("").as_posix(), "/".join(labels), split
            )
        )
    return make_ids_unique(clips)


def clip_of(
    path: Path,
    name: str,
    label: str,
    split: str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    group: str | None = None,
    contents: Contents | None = None,
) -> Clip:
    """A manifest row for one file; its id is `name` with everything but letters, digits, - and _ replaced.

    A file that is not there keeps its row, without bytes and digest: decode puts it into the ledger as missing_file.

    Args:
        contents: of the files of other rows, so that a file with several clips is read once.
    """
    clip_id = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    size, digest = (Contents() if contents is None else contents)[path]
    return Clip(
        clip_id=clip_id,
        path=make_absolute(path),
        label=label,
        split=split,
        start_s=start_s,
        end_s=end_s,
        group=group or clip_id,
        bytes=size,
        sha256=digest,
    )


def make_ids_unique(clips: Iterable[Clip]) -> list[Clip]:
    """Give clips whose ids clash (`a b.mp4`, `a-b.mp4`) a suffix from their path, label and span; sort by id."""
    rows = list(clips)
    seen = Counter(clip.clip_id for clip in rows)
    renamed = [
        replace(clip, clip_id=f"{clip.clip_id}-{_hash_clip(clip)}")
        if seen[clip.clip_id] > 1
        else clip
        for clip in rows
    ]
    twice = [
        clip_id for clip_id, count in Counter(clip.clip_id for clip in renamed).items() if count > 1
    ]
    if twice:
        raise SourceError(
            f"the clip {twice[0]} is listed twice with one path, label, split and span; remove one of the rows"
        )
    return sorted(renamed, key=lambda clip: clip.clip_id)


def carve(clips: list[Clip], source: str, target: str, fraction: float, seed: int) -> list[Clip]:
    """Move about `fraction` of each label's groups from one split to another, chosen by a seeded hash of the group.

    A split that has clips already is left alone, and so is everything at fraction 0. Each label keeps a group where it was.
    """
    if fraction == 0 or any(clip.split == target for clip in clips):
        return clips
    labels: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        labels[clip.label].update([clip.group] if clip.split == source else [])
    moved = set()
    for named in labels.values():
        groups = sorted(named, key=lambda group: _hash_group(seed, group))
        moved.update(groups[: min(max(round(fraction * len(groups)), 1), len(groups) - 1)])
    return [
        replace(clip, split=target) if clip.split == source and clip.group in moved else clip
        for clip in clips
    ]


def _hash_group(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def _hash_clip(clip: Clip) -> str:
    return hashlib.sha256(
        f"{clip.path} {clip.label} {clip.split} {clip.start_s} {clip.end_s}".encode()
    ).hexdigest()[:8]
