"""Carve splits by group: a group's split depends on its name, the seed and the fractions alone."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.core.records import Clip


def carve(clips: list[Clip], fractions: Mapping[str, float], seed: int) -> list[Clip]:
    """Move groups from train to splits that have no clip yet.

    A hash gives each group a number from 0 to 1; a group below the fraction moves. So groups that
    are added or removed move no other. One rule goes before: each label has one group or more in
    each carved split and in train, as far as its groups suffice.

    Args:
        clips: in train, or in splits of their own.
        fractions: split -> fraction of each label's groups, the second one of those that are left.
        seed: of the hash.
    """
    taken = {clip.split for clip in clips}
    wanted = {name: share for name, share in fractions.items() if share and name not in taken}
    labels: dict[str, set[str]] = {clip.label: set() for clip in clips}
    for clip in clips:
        labels[clip.label].update([clip.group] if clip.split == "train" else [])
    split_of: dict[str, str] = {}
    for number, (split, share) in enumerate(wanted.items(), start=1):
        ranked = {
            label: sorted((_hash(seed, split, group), group) for group in groups - split_of.keys())
            for label, groups in labels.items()
        }
        moved = _choose_groups(ranked, share, spared=len(wanted) - number + 1)
        split_of |= dict.fromkeys(moved, split)
    return [
        replace(clip, split=split_of.get(clip.group, "train")) if clip.split == "train" else clip
        for clip in clips
    ]


def _choose_groups(
    ranked: Mapping[str, list[tuple[float, str]]], fraction: float, spared: int
) -> set[str]:
    """Return the groups below the fraction, but one or more of each label, and not its last ones.

    Args:
        ranked: label -> its groups with their numbers, sorted by number.
        fraction: groups with a smaller number move.
        spared: groups of each label that stay, in train or for the splits after this one.
    """
    moved = {group for groups in ranked.values() for number, group in groups if number < fraction}
    most = {
        label: max(len(groups) - spared, min(len(groups) - 1, 1), 0)
        for label, groups in ranked.items()
    }
    labels_of = defaultdict(list)
    for label in sorted(ranked):
        inside = [group for _, group in ranked[label] if group in moved]
        moved.difference_update(inside[most[label] :])
        for _, group in ranked[label]:
            labels_of[group].append(label)
    counts = {label: sum(group in moved for _, group in groups) for label, groups in ranked.items()}
    for label in sorted(ranked):
        if counts[label]:
            continue
        for _, group in ranked[label]:
            if all(counts[name] < most[name] for name in labels_of[group]):
                moved.add(group)
                counts |= {name: counts[name] + 1 for name in labels_of[group]}
                break
    return moved


def _hash(seed: int, split: str, group: str) -> float:
    """Return a number from 0 to 1, the same for both Unicode forms of a group's name."""
    text = f"{seed} {split} {unicodedata.normalize('NFC', group)}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13
