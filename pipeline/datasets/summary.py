"""Describe a manifest in lines: clips, licence, shared groups, missing files."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.records import SPLITS, join_names
from pipeline.datasets.leftovers import join_first
from pipeline.datasets.manifest import find_missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.core.records import Clip, Source

FEW = 5  # clips of a class, below which its share of a split says nothing


def describe_manifest(clips: list[Clip], source: Source, path: Path) -> str:
    """Return lines about a manifest.

    Args:
        clips: its rows.
        source: where they come from.
        path: its file.
    """
    classes, splits = {clip.label for clip in clips}, Counter(clip.split for clip in clips)
    counts = ", ".join(f"{split} {splits[split]}" for split in SPLITS)
    parts = [
        f"{len(clips)} clips of {len(classes)} classes ({counts}) -> {path}",
        f"licence: {source.licence}",
        *describe_missing_classes(clips),
        _describe_thin_classes(clips),
        _describe_shared_groups(clips),
        _describe_missing_files(clips, path),
        _describe_empty_files(clips),
    ]
    return "\n".join(part for part in parts if part)


def describe_changes(before: list[Clip], after: list[Clip]) -> list[str]:
    """Return a sentence on the clips that differ from those of an earlier manifest, if any does.

    Args:
        before: rows of the earlier manifest as they are read; without rows nothing has changed.
        after: rows of the new one, read from the same place.
    """
    if not before:
        return []
    old, new = ({_identify(clip): clip for clip in clips} for clips in (before, after))
    both = [(old[key], new[key]) for key in new if key in old]
    added = [new[key] for key in new if key not in old]
    removed = [old[key] for key in old if key not in new]
    renamed = _match_renamed(removed, added)
    known = {clip.clip_id for pair in renamed for clip in pair}
    changes = [
        ("added", [clip.clip_id for clip in added if clip.clip_id not in known]),
        ("removed", [clip.clip_id for clip in removed if clip.clip_id not in known]),
        ("renamed", [f"{one.clip_id} to {other.clip_id}" for one, other in renamed]),
        ("changed", [other.clip_id for one, other in both if one.sha256 != other.sha256]),
        (
            "in another split",
            [
                f"{other.clip_id} ({one.split} to {other.split})"
                for one, other in [*both, *renamed]
                if one.split != other.split
            ],
        ),
    ]
    texts = [f"{len(names)} {verb} ({join_first(names)})" for verb, names in changes if names]
    return [f"clips against the manifest before: {', '.join(texts)}"] * bool(texts)


def _match_renamed(removed: list[Clip], added: list[Clip]) -> list[tuple[Clip, Clip]]:
    """Pair removed and added clips of the same bytes and span, where one of each has them."""
    rows: dict[tuple[str, float, float | None], tuple[list[Clip], list[Clip]]] = {}
    for side, clips in enumerate((removed, added)):
        for clip in clips:
            key = (clip.sha256, clip.start_s, clip.end_s)
            rows.setdefault(key, ([], []))[side].append(clip)
    return [
        (one[0], other[0])
        for (sha256, _, _), (one, other) in rows.items()
        if sha256 and len(one) == len(other) == 1
    ]


def _identify(clip: Clip) -> tuple[str, str, float, float | None]:
    return clip.path, clip.label, clip.start_s, clip.end_s


def describe_missing_classes(clips: list[Clip]) -> list[str]:
    """Return a sentence for each split that lacks a class.

    Args:
        clips: rows of the manifest.
    """
    absent = sorted({"val", "test"} - {clip.split for clip in clips})
    empty = {
        "val": "the val split is empty; evaluate needs it, and methods that choose a step size",
        "test": "the test split is empty; evaluate needs it",
    }
    return [empty[split] for split in absent] + [
        f"the {split} split lists no clip of {join_names(names)}; evaluate will ask for some"
        for split, names in find_missing(clips).items()
    ]


def _describe_thin_classes(clips: list[Clip]) -> str:
    """Name classes with under half the share of train of all clips; empty if none is."""
    totals = Counter(clip.label for clip in clips)
    trained = Counter(clip.label for clip in clips if clip.split == "train")
    share = trained.total() / max(len(clips), 1)
    thin = [
        f"{label} {trained[label]} of {count}"
        for label, count in sorted(totals.items())
        if count >= FEW and 0 < trained[label] < count * share / 2
    ]
    if not thin:
        return ""
    return (
        f"train has few clips of {len(thin)} of {len(totals)} classes ({join_first(thin)}; "
        f"{share:.0%} of all clips); where splits are carved, another seed draws others"
    )


@contextmanager
def explain_refusal(notes: Sequence[str]) -> Iterator[None]:
    """Add notes about the files to a SourceError of the block.

    Args:
        notes: sentences.
    """
    try:
        yield
    except SourceError as error:
        raise SourceError("; ".join([str(error), *notes])) from error


def _describe_shared_groups(clips: list[Clip]) -> str:
    """Count the groups in several splits, as some official lists have them; empty if none is."""
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.group].add(clip.split)
    shared = sorted(group for group, names in splits.items() if len(names) > 1)
    if not shared:
        return ""
    return (
        f"{len(shared)} groups (clips of one video or recording) lie in more than one split, as "
        f"listed ({join_first(shared)}): decode's leaks.csv shows which of their windows are alike"
    )


def _describe_missing_files(clips: list[Clip], path: Path) -> str:
    """Count the missing files, name a few, and say how to list them all; empty if none is."""
    missing = sorted({clip.path for clip in clips if not clip.sha256})
    if not missing:
        return ""
    return (
        f"{len(missing)} of {len({clip.path for clip in clips})} files are missing "
        f"({join_first(missing)}): their rows have 0 bytes, `grep ',0,$' {quote(str(path))}` "
        "lists them, and decode puts them into the ledger as missing_file"
    )


def _describe_empty_files(clips: list[Clip]) -> str:
    """Count the files of zero bytes; empty if none is."""
    empty = sorted({clip.path for clip in clips if clip.sha256 and not clip.bytes})
    if not empty:
        return ""
    return (
        f"{len(empty)} of {len({clip.path for clip in clips})} files are empty "
        f"({join_first(empty)}): decode puts them into the ledger as decode_error"
    )


def describe_close_labels(clips: list[Clip]) -> list[str]:
    """Return a sentence for labels that differ by case, spaces or punctuation alone.

    Args:
        clips: rows of the manifest.
    """
    close = defaultdict(list)
    for label in sorted({clip.label for clip in clips}):
        text = unicodedata.normalize("NFKD", label).casefold()
        close["".join(filter(str.isalnum, text)) or text].append(repr(label))
    return [
        f"the labels {' and '.join(names)} differ by case, spaces or punctuation alone; "
        "give them one name if they are one class"
        for names in close.values()
        if len(names) > 1
    ]
