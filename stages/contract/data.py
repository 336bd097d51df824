"""Facts of plugins that read or order samples: adapters, extractors and selectors."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.checkpoints import PartialResults
from pipeline.core.errors import ShardError
from pipeline.core.records import SPLITS, Source
from pipeline.coresets.rankings import Ranking
from pipeline.datasets.manifest import read_manifest, write_manifest
from pipeline.training.loop import ignore_progress
from stages.contract.subject import expect, expect_same, expect_untouched
from stages.contract.toys import CPU, toy_features, toy_networks, toy_real, toy_waves

if TYPE_CHECKING:
    from pipeline.core.records import Clip, Features, RealSet
    from stages.contract.subject import Subject


def _list_clips(subject: Subject) -> list[Clip]:
    clips: list[Clip] = subject.plugin.clips(subject.require_root())
    return clips


def check_clips(subject: Subject) -> None:
    """Check that it lists clips sorted by ids, each once, in known splits."""
    clips = _list_clips(subject)
    expect(bool(clips), "no clips", "one or more")
    ids = [clip.clip_id for clip in clips]
    expect(ids == sorted(set(ids)), "ids twice or out of order", "sorted ids, each once")
    wrong = {clip.split for clip in clips} - {*SPLITS}
    expect(not wrong, f"splits {sorted(wrong)}", ", ".join(SPLITS))


def check_clips_twice(subject: Subject) -> None:
    """Check that it lists the same clips twice."""
    first, second = ([json.dumps(asdict(clip)) for clip in _list_clips(subject)] for _ in range(2))
    expect(first == second, "other clips", "the same")


def check_groups(subject: Subject) -> None:
    """Check that clips of one group are in one split."""
    clips = _list_clips(subject)
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.group, set()).add(clip.split)
    torn = sorted(group for group, found in splits.items() if len(found) > 1)
    expect(not torn, f"groups in several: {', '.join(torn[:3])}", "each group in one split")


def check_manifest(subject: Subject) -> None:
    """Check that its clips are the same after a manifest, and that its source is stated."""
    clips, path = _list_clips(subject), subject.make_folder() / "manifest.csv"
    write_manifest(path, clips)
    expect(read_manifest(path) == clips, "other clips in the manifest", "the same")
    source = subject.plugin.source(subject.require_root())
    expect(isinstance(source, Source), f"a source {source!r}", "a Source")


def embed(subject: Subject, real: RealSet) -> Features:
    """Embed a toy, with nothing kept from before.

    Args:
        subject: the extractor.
        real: the toy.
    """
    cache = PartialResults(folder=subject.make_folder() / "parts")
    features: Features = subject.plugin.embed(real, toy_networks(), cache, CPU, ignore_progress)
    return features


def hear(subject: Subject) -> RealSet:
    """Return a toy that the extractor takes: with waveforms where it refuses one without.

    Args:
        subject: the extractor.
    """
    try:
        embed(subject, toy_real())
    except ShardError:
        return toy_waves()
    return toy_real()


def check_vectors(subject: Subject) -> None:
    """Check that it makes a finite vector of each sample, in their order."""
    real = hear(subject)
    features = embed(subject, real)
    expect(features.keys == real.keys, "other keys", "those of the samples, in their order")
    expect(bool(features.vectors), "no vectors", "those of a modality")
    for m, rows in features.vectors.items():
        form = (str(rows.dtype), rows.ndim, len(rows))
        expect(form == ("float32", 2, len(real)), f"{m} {form}", f"float32 [{len(real)}, D]")
        expect(bool(np.isfinite(rows).all()), f"{m} vectors not finite", "finite numbers")


def check_origin(subject: Subject) -> None:
    """Check that its vectors say what they come from."""
    real = hear(subject)
    origin = embed(subject, real).origin
    found = (origin.extractor, origin.shards, origin.preprocessing)
    expected = (subject.name, real.digest, real.preprocessing)
    expect(found == expected, found, f"{expected}")
    expect(len(origin.weights) == 64, f"weights {origin.weights!r}", "a SHA-256 in hex")


def check_vectors_twice(subject: Subject) -> None:
    """Check that it makes the same vectors twice, and leaves the samples as they are."""
    real = hear(subject)
    first = embed(subject, real).vectors

    def act() -> None:
        expect_same(first, embed(subject, real).vectors, "the same vectors")

    expect_untouched(real, act, lambda given: {**given.rows, "label": given.label})


def check_ranking(subject: Subject) -> None:
    """Check that it picks so many samples of each class, each once."""
    features = toy_features()
    ranking = subject.plugin.rank(features)
    for count in (1, 4, 8):
        chosen = ranking.select(count)
        expect([*chosen] == [*features.classes], f"classes {[*chosen]}", f"{features.classes}")
        for number, keys in enumerate(chosen.values()):
            rows = zip(features.keys, features.label, strict=True)
            own = {key for key, label in rows if label == number}
            right = len({*keys}) == len(keys) == count and own >= {*keys}
            expect(right, f"{keys}", f"{count} different keys of class {number}")


def check_prefixes(subject: Subject) -> None:
    """Check that fewer samples are the first of more, where it makes one ranking."""
    ranking = subject.plugin.rank(toy_features())
    if isinstance(ranking, Ranking):
        for label, keys in ranking.select(8).items():
            few = ranking.select(4)[label]
            expect(few == keys[:4], f"{few}", f"{keys[:4]}")


def check_ranking_twice(subject: Subject) -> None:
    """Check that it ranks the same twice, and leaves the features as they are."""
    features = toy_features()
    first = subject.plugin.rank(features).select(4)

    def act() -> None:
        again = subject.plugin.rank(features).select(4)
        expect(again == first, f"{again}", f"{first}")

    def list_arrays(given: Features) -> dict[str, Any]:
        return {**given.vectors, "label": given.label}

    expect_untouched(features, act, list_arrays)


ADAPTER_FACTS = (check_clips, check_clips_twice, check_groups, check_manifest)
EXTRACTOR_FACTS = (check_vectors, check_origin, check_vectors_twice)
SELECTOR_FACTS = (check_ranking, check_prefixes, check_ranking_twice)
