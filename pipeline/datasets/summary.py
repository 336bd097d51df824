"""Describe a manifest in a sentence: clips, licence, shared groups, missing files."""

from __future__ import annotations

from collections import Counter, defaultdict
from shlex import quote
from typing import TYPE_CHECKING

from pipeline.datasets.manifest import find_missing

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip, Source


def describe_manifest(clips: list[Clip], source: Source, path: Path) -> str:
    """Return a sentence about a manifest.

    Args:
        clips: its rows.
        source: where they come from.
        path: its file.
    """
    classes, splits = {clip.label for clip in clips}, Counter(clip.split for clip in clips)
    parts = [
        f"{len(clips)} clips of {len(classes)} classes ({dict(splits)}) -> {path}",
        f"licence: {source.licence}",
        _describe_shared_groups(clips),
        _describe_missing_files(clips, path),
    ]
    return "; ".join(part for part in parts if part)


def describe_missing_classes(clips: list[Clip]) -> list[str]:
    """Return a sentence for each split that lacks a class.

    Args:
        clips: rows of the manifest.
    """
    return [
        f"the {split} split lists no clip of {', '.join(names)}; evaluate will ask for some"
        for split, names in find_missing(clips).items()
    ]


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
        f"listed ({_join_first(shared)}): decode's leaks.csv shows which of their windows are alike"
    )


def _describe_missing_files(clips: list[Clip], path: Path) -> str:
    """Count the missing files, name a few, and say how to list them all; empty if none is."""
    missing = sorted({clip.path for clip in clips if not clip.sha256})
    if not missing:
        return ""
    return (
        f"{len(missing)} of {len({clip.path for clip in clips})} files are missing "
        f"({_join_first(missing)}): their rows have 0 bytes, `grep ',0,$' {quote(str(path))}` "
        "lists them, and decode puts them into the ledger as missing_file"
    )


def _join_first(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)
