"""List media files under a folder as clips with unique ids, and carve splits by group."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.files import file_digest
from pipeline.core.paths import make_absolute
from pipeline.core.records import SPLITS, Clip
from pipeline.datasets.listing import list_media

if TYPE_CHECKING:
    from collections.abc import Iterable

# Folder names that look like a split.
LOOKALIKES = {*SPLITS, "training", "valid", "validation", "testing", "dev", "eval"}


class Contents(dict[Path, tuple[int, str]]):
    """Path -> bytes and SHA-256; each file is read once, a missing file has 0 and ""."""

    def __missing__(self, path: Path) -> tuple[int, str]:
        try:
            self[path] = (path.stat().st_size, file_digest(path)) if path.is_file() else (0, "")
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read ({error.strerror}); make it readable or remove it"
            ) from error
        return self[path]


def list_clips(root: Path) -> list[Clip]:
    """List the clips of a tree: `split/label/*.mp4`, or `label/*.mp4`, which is all train.

    Args:
        root: the folder.

    Raises:
        SourceError: a file lies in no label's folder, or a folder's name looks like a split.
    """
    clips = []
    for path in list_media(root):
        folders = path.relative_to(root).parts[:-1]
        split, labels = (
            (folders[0], folders[1:]) if folders and folders[0] in SPLITS else ("train", folders)
        )
        if folders and folders[0] not in SPLITS and folders[0].lower() in LOOKALIKES:
            raise SourceError(
                f"{root / folders[0]} looks like a split but is not one; "
                f"rename it to one of {', '.join(SPLITS)}"
            )
        if not labels:
            raise SourceError(
                f"{path} lies outside of any label's folder; "
                f"move it to {root}/<label>/ or {root}/<split>/<label>/"
            )
        name = path.relative_to(root).with_suffix("").as_posix()
        clips.append(clip_of(path, name, "/".join(labels), split))
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
    """Make a manifest row for one file.

    A missing file keeps its row, without bytes and digest: decode puts it into the ledger as
    missing_file.

    Args:
        path: the file.
        name: becomes the id; all but letters, digits, - and _ is replaced.
        label: its class.
        split: train, val or test.
        start_s: seconds from the file's first presentation time.
        end_s: the same; None means the end of the file.
        group: clips of one group stay in one split; by default the clip's id.
        contents: shared by rows, so that a file with several clips is read once.
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
    """Add a suffix to ids that clash (`a b.mp4`, `a-b.mp4`), and sort clips by id.

    Args:
        clips: the suffix comes from their path, label, split and span.

    Raises:
        SourceError: two clips are equal in all of these.
    """
    rows = list(clips)
    counts = Counter(clip.clip_id for clip in rows)
    renamed = [
        replace(clip, clip_id=f"{clip.clip_id}-{_hash_clip(clip)}")
        if counts[clip.clip_id] > 1
        else clip
        for clip in rows
    ]
    for clip_id, count in Counter(clip.clip_id for clip in renamed).items():
        if count > 1:
            raise SourceError(
                f"the clip {clip_id} is listed twice with one path, label, split and span; "
                "remove one of the rows"
            )
    return sorted(renamed, key=lambda clip: clip.clip_id)


def carve_test_and_val(
    clips: list[Clip], test_fraction: float, val_fraction: float, seed: int
) -> list[Clip]:
    """Carve a test and a validation split from train, unless the clips have them.

    Args:
        clips: in train, or in splits of their own.
        test_fraction: of each label's groups.
        val_fraction: of the groups that are left in train.
        seed: decides which groups move.
    """
    clips = carve(clips, "train", "test", test_fraction, seed)
    return carve(clips, "train", "val", val_fraction, seed)


def carve(clips: list[Clip], source: str, target: str, fraction: float, seed: int) -> list[Clip]:
    """Move a fraction of each label's groups from one split to another.

    Groups are chosen by a seeded hash. If the target has clips already, none moves. Each label
    keeps one group or more in the source.

    Args:
        clips: all clips.
        source: the split to take from.
        target: the split to fill.
        fraction: of each label's groups.
        seed: of the hash.
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
