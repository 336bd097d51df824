"""Clips as points: one unit vector each, what is true of it, and the rounds in which they are taught and tested."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import SourceError, StoreError
from pipeline.core.files import shorten_digest
from pipeline.core.records import SPLITS, space_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.records import Clip, Features, Texts

FEW = 3


@dataclass(frozen=True, kw_only=True)
class Round:
    """Row numbers of one test: choices are made with `train` on `val`; then classes come from `known`, and `test` is scored."""

    name: str
    train: np.ndarray
    val: np.ndarray
    known: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Sorted by id.

    Args:
        vectors: float64 [N, D], of length 1; `has`: bool [N, C], what is heard or seen in each.
        part: fold or split of each; `folded`: whether these are folds.
        group: int64 [N], the number of its recording; `parted`: recordings that stand in several parts.
        without: clips of the manifest that have no vector.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    vectors: np.ndarray
    has: np.ndarray
    part: np.ndarray
    folded: bool
    group: np.ndarray
    parted: tuple[str, ...]
    without: int

    @cached_property
    def multi_label(self) -> bool:
        """Whether a clip may have several labels, or none."""
        return bool((self.has.sum(1) != 1).any())

    @cached_property
    def tested_classes(self) -> np.ndarray:
        """bool [C]: classes that some test clip has."""
        return np.asarray(self.has[np.concatenate([at.test for at in self.rounds])].any(0))

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """One per fold, the fold after it for choices and then known as well; or one of train, val and test."""
        if not self.folded:
            train, val, test = (np.flatnonzero(self.part == split) for split in SPLITS)
            return (Round(name="test", train=train, val=val, known=train, test=test),)
        folds = sorted(set(self.part.tolist()), key=int)
        made = []
        for number, fold in enumerate(folds):
            test, val = self.part == fold, self.part == folds[(number + 1) % len(folds)]
            rows = {"train": ~test & ~val, "val": val, "known": ~test, "test": test}
            made.append(
                Round(name=fold, **{name: np.flatnonzero(mask) for name, mask in rows.items()})
            )
        return tuple(made)


def gather_clips(
    manifest: Sequence[Clip], tables: Mapping[str, Features], modality: str, shared: int
) -> Clips:
    """Clips of a manifest with the mean of their samples' vectors, brought to length 1.

    Args:
        tables: split -> its features; `shared`: how many recordings may stand in several folds or splits.

    Raises:
        StoreError: tables of several encoders, without the modality, of other clips, or with numbers that are none.
        SourceError: folds that some clips lack, or that leak recordings; a split without a clip.
    """
    vectors = _pool_samples(tables, modality)
    known = {clip.clip_id: clip for clip in manifest}
    strange = sorted(vectors.keys() - known.keys())
    if strange:
        told = f"the features hold {len(strange)} clips that the manifest does not list, {_abbreviate_names(strange)}"
        raise StoreError(f"{told}; name the manifest that they were decoded from")
    clips = [known[name] for name in sorted(vectors)]
    folded = any(clip.fold is not None for clip in manifest)
    parted = _find_shared_groups(clips, folded, shared)
    classes = tuple(sorted({label for clip in manifest for label in clip.labels or (clip.label,)}))
    numbers = {name: number for number, name in enumerate(sorted({clip.group for clip in clips}))}
    return Clips(
        ids=tuple(clip.clip_id for clip in clips),
        classes=classes,
        vectors=normalise_rows(np.stack([vectors[clip.clip_id] for clip in clips])),
        has=np.array(
            [[name in (clip.labels or (clip.label,)) for name in classes] for clip in clips]
        ),
        part=np.array([_part_of(clip, folded) for clip in clips]),
        folded=folded,
        group=np.array([numbers[clip.group] for clip in clips]),
        parted=parted,
        without=len(manifest) - len(clips),
    )


def refuse_other_texts(
    texts: Texts, name: str, tables: Mapping[str, Features], modality: str, classes: Sequence[str]
) -> None:
    """StoreError if texts lie in another space than the features, are of another width, or of another label map."""
    features = next(iter(tables.values()))
    found, wanted = space_of(texts, "text"), space_of(features.origin, modality)
    if found != wanted:
        of, heard = (
            f"{texts.extractor} {shorten_digest(found)}",
            f"{features.origin.extractor} {shorten_digest(wanted)}",
        )
        remedy = "extract one of them anew, or set extract.external.spaces"
        raise StoreError(
            f"{name} is of the encoder {of}, {modality} of {heard}; expected one encoder for both: {remedy}"
        )
    widths = texts.vectors.shape[2], features.vectors[modality].shape[1]
    if widths[0] != widths[1]:
        raise StoreError(
            f"{name} has vectors {widths[0]} wide, {modality} {widths[1]}; expected the text tower of one encoder"
        )
    silent = sorted(set(classes) - set(texts.classes))
    if silent:
        raise StoreError(
            f"{name} has no prompt for {len(silent)} of {len(classes)} labels, {_abbreviate_names(silent)}; add them"
        )
    more = sorted(set(texts.classes) - set(classes))
    if more:
        told = f"{name} is of another label map, no clip is of {_abbreviate_names(more)}"
        raise StoreError(f"{told}; run `avdistill extract-text` for this manifest")


def normalise_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float64; zeros stay zeros."""
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=-1, keepdims=True), 1e-12))


def _pool_samples(tables: Mapping[str, Features], modality: str) -> dict[str, np.ndarray]:
    """Clip -> the mean of its samples' vectors, float64 [D]."""
    first_name, first = next(iter(tables.items()))
    rows = defaultdict(list)
    for name, table in tables.items():
        if modality not in table.vectors:
            raise StoreError(
                f"{name}.h5 holds {', '.join(table.vectors)} and no {modality}; set prototypes.modality"
            )
        one, other = ({**asdict(each.origin), "shards": ""} for each in (first, table))
        if one != other or first.classes != table.classes:
            differ = ", ".join(key for key in one if one[key] != other[key]) or "classes"
            told = f"{name}.h5 and {first_name}.h5 differ in {differ}"
            raise StoreError(
                f"{told}; expected tables of one encoder: run `avdistill extract` anew"
            )
        for key, vector in zip(table.keys, table.vectors[modality], strict=True):
            if not np.isfinite(vector).all():
                raise StoreError(
                    f"{name}.h5 has NaN or infinite numbers in {modality} of {key}; look at the encoder that made it"
                )
            rows[key.rpartition("_")[0]].append(vector)
    return {clip: np.asarray(np.mean(own, axis=0, dtype=np.float64)) for clip, own in rows.items()}


def _part_of(clip: Clip, folded: bool) -> str:
    return str(clip.fold) if folded else clip.split


def _find_shared_groups(clips: Sequence[Clip], folded: bool, shared: int) -> tuple[str, ...]:
    """Recordings in several parts; SourceError if there are more than may be, or if parts are missing."""
    noun, none = (
        ("fold", [clip.clip_id for clip in clips if clip.fold is None]) if folded else ("split", [])
    )
    if none:
        raise SourceError(
            f"{len(none)} of {len(clips)} clips have no fold, {_abbreviate_names(none)}; give each one, or none"
        )
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.group].add(_part_of(clip, folded))
    there = set.union(*parts.values())
    if len(there) < FEW:
        found = f"the features are of the {noun}s {', '.join(sorted(there))}"
        raise SourceError(
            f"{found}; expected {'three folds or more' if folded else ', '.join(SPLITS)}: extract the others too"
        )
    leaking = sorted(group for group, own in parts.items() if len(own) > 1)
    if len(leaking) > shared:
        told = f"{len(leaking)} groups stand in more than one {noun}, {_abbreviate_names(leaking)}, and {shared} may"
        raise SourceError(
            f"{told}; repair the {noun}s, or set prototypes.shared_groups if the official lists have it so"
        )
    return tuple(leaking)


def _abbreviate_names(names: Sequence[str]) -> str:
    return ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "")
