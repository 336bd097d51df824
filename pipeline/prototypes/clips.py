"""Clips as unit vectors with targets, and the rounds in which they train and test."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import SourceError, StoreError
from pipeline.core.files import shorten_digest
from pipeline.core.records import SPLITS, join_names, space_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.records import Clip, Features, Texts

# Names that a message lists; and the fewest folds or splits of an evaluation.
LISTED_NAMES, MIN_PARTS = 3, 3


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of testing: the rows of its clips, int64.

    Args:
        name: of the test fold, or "test".
        train: candidates are fitted on these.
        val: candidates are compared on these.
        reference: the chosen classifier is fitted on these.
        test: the chosen classifier is scored on these.
    """

    name: str
    train: np.ndarray
    val: np.ndarray
    reference: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips, sorted by id.

    Args:
        ids: of the clips.
        classes: names.
        vectors: float64 [N, D], of length 1.
        targets: the labels of each clip, bool [N, C].
        partition: fold or split of each clip.
        has_folds: whether these are folds.
        group: number of each clip's recording, int64 [N].
        shared_groups: recordings that are in several folds or splits.
        without_vector: number of clips of the manifest that have no vector.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    vectors: np.ndarray
    targets: np.ndarray
    partition: np.ndarray
    has_folds: bool
    group: np.ndarray
    shared_groups: tuple[str, ...]
    without_vector: int

    @cached_property
    def multi_label(self) -> bool:
        """Whether a clip has several labels, or none."""
        return bool((self.targets.sum(1) != 1).any())

    @cached_property
    def tested_classes(self) -> np.ndarray:
        """Whether each class has a test clip, bool [C]."""
        return np.asarray(self.targets[np.concatenate([each.test for each in self.rounds])].any(0))

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """One round per fold, or one of train, val and test.

        With folds, the fold after the test fold is val; then it is part of the reference too.
        """
        if not self.has_folds:
            train, val, test = (np.flatnonzero(self.partition == split) for split in SPLITS)
            return (Round(name="test", train=train, val=val, reference=train, test=test),)
        folds = sorted(set(self.partition.tolist()), key=int)
        rounds = []
        for number, fold in enumerate(folds):
            is_test = self.partition == fold
            is_val = self.partition == folds[(number + 1) % len(folds)]
            masks = {
                "train": ~is_test & ~is_val,
                "val": is_val,
                "reference": ~is_test,
                "test": is_test,
            }
            rows = {name: np.flatnonzero(mask) for name, mask in masks.items()}
            rounds.append(Round(name=fold, **rows))
        return tuple(rounds)


def gather_clips(
    manifest: Sequence[Clip], tables: Mapping[str, Features], modality: str, shared: int
) -> Clips:
    """Return the clips of a manifest with the mean of their samples' vectors, scaled to length 1.

    Args:
        manifest: the clips.
        tables: split -> its features.
        modality: of the features.
        shared: number of recordings that may be in several folds or splits.

    Raises:
        StoreError: tables are of several encoders or of other clips, lack the modality, or hold NaN
            or infinity.
        SourceError: some clips have no fold, folds share recordings, or a split has no clip.
    """
    vectors = _pool_samples(tables, modality)
    by_id = {clip.clip_id: clip for clip in manifest}
    unknown = sorted(vectors.keys() - by_id.keys())
    if unknown:
        raise StoreError(
            f"the features hold {len(unknown)} clips that the manifest does not list, "
            f"{_abbreviate_names(unknown)}; give the manifest that they were decoded from"
        )
    clips = [by_id[name] for name in sorted(vectors)]
    has_folds = any(clip.fold is not None for clip in manifest)
    shared_groups = _find_shared_groups(clips, has_folds, shared)
    classes = tuple(sorted({label for clip in manifest for label in _labels_of(clip)}))
    numbers = {name: number for number, name in enumerate(sorted({clip.group for clip in clips}))}
    return Clips(
        ids=tuple(clip.clip_id for clip in clips),
        classes=classes,
        vectors=normalise_rows(np.stack([vectors[clip.clip_id] for clip in clips])),
        targets=np.array([[name in _labels_of(clip) for name in classes] for clip in clips]),
        partition=np.array([_partition_of(clip, has_folds) for clip in clips]),
        has_folds=has_folds,
        group=np.array([numbers[clip.group] for clip in clips]),
        shared_groups=shared_groups,
        without_vector=len(manifest) - len(clips),
    )


def refuse_other_texts(
    texts: Texts, name: str, tables: Mapping[str, Features], modality: str, classes: Sequence[str]
) -> None:
    """Refuse texts of another space, width or label map than the features.

    Args:
        texts: vectors of the classes' prompts.
        name: of the texts, for messages.
        tables: split -> its features.
        modality: of the features.
        classes: of the clips.

    Raises:
        StoreError: they are.
    """
    features = next(iter(tables.values()))
    text_space, space = space_of(texts, "text"), space_of(features.origin, modality)
    if text_space != space:
        raise StoreError(
            f"{name} is of the encoder {texts.extractor} {shorten_digest(text_space)}, "
            f"{modality} of {features.origin.extractor} {shorten_digest(space)}; "
            "expected one encoder for both: extract one of them again, "
            "or set extract.external.spaces"
        )
    text_width, width = texts.vectors.shape[2], features.vectors[modality].shape[1]
    if text_width != width:
        raise StoreError(
            f"{name} has vectors {text_width} wide, {modality} {width}; "
            "expected the text tower of one encoder"
        )
    _refuse_other_labels(texts, name, classes)


def normalise_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1, in float64; zeros stay zeros.

    Args:
        vectors: [..., D].
    """
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=-1, keepdims=True), 1e-12))


def _refuse_other_labels(texts: Texts, name: str, classes: Sequence[str]) -> None:
    missing = sorted(set(classes) - set(texts.classes))
    if missing:
        raise StoreError(
            f"{name} has no prompt for {len(missing)} of {len(classes)} labels, "
            f"{join_names(missing, LISTED_NAMES)}; add them"
        )
    unknown = sorted(set(texts.classes) - set(classes))
    if unknown:
        raise StoreError(
            f"{name} is of another label map, no clip is of {join_names(unknown, LISTED_NAMES)}; "
            "run `avdistill extract-text` for this manifest"
        )


def _pool_samples(tables: Mapping[str, Features], modality: str) -> dict[str, np.ndarray]:
    """Return clip -> the mean of its samples' vectors, float64 [D]."""
    samples = defaultdict(list)
    for name, table in tables.items():
        if modality not in table.vectors:
            raise StoreError(
                f"{name}.h5 holds {', '.join(table.vectors)} and no {modality}; "
                "set prototypes.modality"
            )
        _refuse_other_encoder(name, table, tables)
        for key, vector in zip(table.keys, table.vectors[modality], strict=True):
            if not np.isfinite(vector).all():
                raise StoreError(
                    f"{name}.h5 has NaN or infinite numbers in {modality} of {key}; "
                    "check the encoder that made it"
                )
            samples[key.rpartition("_")[0]].append(vector)
    return {
        clip: np.asarray(np.mean(vectors, axis=0, dtype=np.float64))
        for clip, vectors in samples.items()
    }


def _refuse_other_encoder(name: str, table: Features, tables: Mapping[str, Features]) -> None:
    """Raise StoreError if a table has another encoder or other classes than the first one."""
    first_name, first = next(iter(tables.items()))
    origin, expected = ({**asdict(each.origin), "shards": ""} for each in (table, first))
    if origin != expected or first.classes != table.classes:
        keys = [key for key in expected if expected[key] != origin[key]] or ["classes"]
        raise StoreError(
            f"{name}.h5 and {first_name}.h5 differ in {', '.join(keys)}; "
            "expected tables of one encoder: run `avdistill extract` again"
        )


def _labels_of(clip: Clip) -> tuple[str, ...]:
    return clip.labels or (clip.label,)


def _partition_of(clip: Clip, has_folds: bool) -> str:
    return str(clip.fold) if has_folds else clip.split


def _find_shared_groups(clips: Sequence[Clip], has_folds: bool, shared: int) -> tuple[str, ...]:
    """Return recordings in several folds or splits; raise SourceError if there are too many."""
    noun = "fold" if has_folds else "split"
    without = [clip.clip_id for clip in clips if has_folds and clip.fold is None]
    if without:
        raise SourceError(
            f"{len(without)} of {len(clips)} clips have no fold, {_abbreviate_names(without)}; "
            "give every clip a fold, or none"
        )
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.group].add(_partition_of(clip, has_folds))
    names = sorted(set.union(*parts.values()))
    if len(names) < MIN_PARTS:
        expected = "three folds or more" if has_folds else ", ".join(SPLITS)
        raise SourceError(
            f"the features are of the {noun}s {', '.join(names)}; expected {expected}: "
            "extract the others too"
        )
    groups = sorted(group for group, names in parts.items() if len(names) > 1)
    if len(groups) > shared:
        raise SourceError(
            f"{len(groups)} groups are in more than one {noun}, {_abbreviate_names(groups)}; "
            f"expected at most {shared}: repair the {noun}s, "
            "or set prototypes.shared_groups if the official lists share them"
        )
    return tuple(groups)


def _abbreviate_names(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED_NAMES]) + (", ..." if len(names) > LISTED_NAMES else "")
