"""The rows of the table: zero-shot, prototypes, and what labels give; whatever is chosen is chosen on validation clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import CellError
from pipeline.core.params import NonNegativeInt, PositiveFloats, PositiveInt, PositiveInts
from pipeline.core.rng import make_generator
from pipeline.prototypes import average_precision as averages
from pipeline.prototypes.clips import normalise_rows
from pipeline.prototypes.points import (
    build_prototypes,
    compute_class_means,
    rank_neighbours,
    score_by_points,
    score_by_text,
)
from pipeline.prototypes.probes import Mlp, fit_predict_ridge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.core.records import Texts
    from pipeline.prototypes.clips import Clips, Round

# The mean of all templates' vectors, as a template of its own; and what was chosen on validation clips.
ENSEMBLE, CHOSEN = "(ensemble)", "(chosen)"
BY_TEXT = ("zero-shot", "prototypes")


@dataclass(frozen=True, kw_only=True)
class PrototypeSettings:
    """Section `prototypes`.

    Args:
        modality: the column of the features that is read.
        k: neighbours to choose among; `published_k`: that of the paper, as a row of its own.
        most: samples per class of a coreset.
        shared_groups: recordings that may stand in several folds or splits, as official lists have it.
        penalties: of the linear row, to choose among; `mlp`: as the paper's; `repeats` of it.
        bootstrap: resamples of the recordings.
    """

    modality: str
    k: PositiveInts
    published_k: PositiveInt
    most: PositiveInt
    shared_groups: NonNegativeInt
    penalties: PositiveFloats
    mlp: Mlp
    repeats: PositiveInt
    bootstrap: PositiveInt


@dataclass(frozen=True, kw_only=True)
class PrototypeRow:
    """One method in one setting.

    Args:
        runs: repeat -> scores of each round's test clips, float64 [n, C].
        chosen: of each round, what was chosen on its validation clips.
    """

    row: str
    template: str | None = None
    k: int | str | None = None
    runs: Sequence[Sequence[np.ndarray]]
    chosen: Sequence[dict[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Validation scores of candidates; every one of them is kept in `trials`."""

    clips: Clips
    trials: list[dict[str, Any]]

    def choose_best(
        self,
        at: Round,
        row: str,
        candidates: Sequence[dict[str, Any]],
        scores: Sequence[np.ndarray],
    ) -> int:
        """The number of the best candidate in a round, the first of equals; `scores`: of each, of the round's val clips."""
        has = self.clips.has[at.val]
        headline = averages.macro_average_precision if self.clips.multi_label else averages.accuracy
        found = [round(headline(own, has, np.ones((1, len(has)))).item(), 12) for own in scores]
        for candidate, value in zip(candidates, found, strict=True):
            self.trials.append({"round": at.name, "row": row, **candidate, "score": value})
        return int(np.argmax(found))


def build_anchors(texts: Texts, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Template -> unit vectors of the classes, float64 [C, D]; of several templates their mean direction too."""
    place = [texts.classes.index(name) for name in classes]
    each = normalise_rows(texts.vectors[:, place])
    together = {ENSEMBLE: normalise_rows(each.mean(0))} if len(each) > 1 else {}
    return {**dict(zip(texts.templates, each, strict=True)), **together}


def score_text_rows(
    clips: Clips, texts: Texts, settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Zero-shot and prototypes: each template, their ensemble, and what is chosen of them in each round."""
    refuse_large(clips, settings)
    known = build_anchors(texts, clips.classes)
    yield from _score_zero_shot(clips, known, chooser)
    yield from _score_prototypes(clips, known, settings, chooser)


def score_labelled_rows(
    clips: Clips, settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Supervised prototypes, ridge regression and the MLP: the same vectors with the labels of the known clips."""
    x, has, several = clips.vectors, clips.has, clips.multi_label
    own = [
        score_by_points(x[at.test], compute_class_means(x[at.known], has[at.known]), several)
        for at in clips.rounds
    ]
    yield PrototypeRow(row="supervised prototypes", runs=[own])
    found, chosen = [], []
    for at in clips.rounds:
        tried = fit_predict_ridge(x[at.train], has[at.train], settings.penalties, x[at.val])
        candidates = [{"penalty": penalty} for penalty in settings.penalties]
        best = chooser.choose_best(at, "linear", candidates, tried)
        found += fit_predict_ridge(
            x[at.known], has[at.known], settings.penalties[best : best + 1], x[at.test]
        )
        chosen.append(candidates[best])
    yield PrototypeRow(row="linear", runs=[found], chosen=chosen)
    runs = [
        [
            settings.mlp.fit_predict(
                x[at.known],
                has[at.known],
                x[at.test],
                several,
                make_generator("mlp", repeat, at.name),
            )
            for at in clips.rounds
        ]
        for repeat in range(settings.repeats)
    ]
    yield PrototypeRow(row="mlp", runs=runs)


def _score_zero_shot(
    clips: Clips, known: Mapping[str, np.ndarray], chooser: Chooser
) -> Iterator[PrototypeRow]:
    names, candidates = list(known), [{"template": name} for name in known]
    scores = {
        name: [score_by_text(clips.vectors[at.test], own) for at in clips.rounds]
        for name, own in known.items()
    }
    for name, own in scores.items():
        yield PrototypeRow(row="zero-shot", template=name, runs=[own])
    best = [
        names[
            chooser.choose_best(
                at,
                "zero-shot",
                candidates,
                [score_by_text(clips.vectors[at.val], own) for own in known.values()],
            )
        ]
        for at in clips.rounds
    ]
    picked = [scores[name][place] for place, name in enumerate(best)]
    yield PrototypeRow(
        row="zero-shot",
        template=CHOSEN,
        runs=[picked],
        chosen=[{"template": name} for name in best],
    )


def _score_prototypes(
    clips: Clips, known: Mapping[str, np.ndarray], settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Rows of the k that is best for a template, of the best template and k, and of the published k."""
    nearest = {
        name: [rank_neighbours(clips.vectors[at.known], own) for at in clips.rounds]
        for name, own in known.items()
    }

    def build_row(
        template: str, k: int | str, names: Sequence[str], ks: Sequence[int]
    ) -> PrototypeRow:
        runs = []
        for place, (at, name, own) in enumerate(zip(clips.rounds, names, ks, strict=True)):
            points = build_prototypes(clips.vectors[at.known], nearest[name][place], own)
            runs.append(score_by_points(clips.vectors[at.test], points, clips.multi_label))
        chosen = [{"template": name, "k": own} for name, own in zip(names, ks, strict=True)]
        return PrototypeRow(row="prototypes", template=template, k=k, runs=[runs], chosen=chosen)

    best = {
        name: [_choose_k(clips, at, name, own, settings.k, chooser) for at in clips.rounds]
        for name, own in known.items()
    }
    count = len(clips.rounds)
    for name in known:
        yield build_row(name, CHOSEN, [name] * count, [k for k, _ in best[name]])
    names = [
        max(known, key={name: own[place][1] for name, own in best.items()}.__getitem__)
        for place in range(count)
    ]
    yield build_row(
        CHOSEN, CHOSEN, names, [best[name][place][0] for place, name in enumerate(names)]
    )
    for name in known:
        yield build_row(name, settings.published_k, [name] * count, [settings.published_k] * count)


def _choose_k(
    clips: Clips, at: Round, template: str, texts: np.ndarray, ks: Sequence[int], chooser: Chooser
) -> tuple[int, float]:
    """The k that is best on a round's validation clips, and its score there."""
    pool = clips.vectors[at.train]
    nearest = rank_neighbours(pool, texts)
    scores = [
        score_by_points(
            clips.vectors[at.val], build_prototypes(pool, nearest, k), clips.multi_label
        )
        for k in ks
    ]
    best = chooser.choose_best(
        at, "prototypes", [{"template": template, "k": k} for k in ks], scores
    )
    return ks[best], chooser.trials[best - len(ks)]["score"]


def refuse_large(clips: Clips, settings: PrototypeSettings) -> None:
    """CellError if a pool has fewer clips than neighbours are asked for."""
    least = min(len(at.train) for at in clips.rounds)
    if max(*settings.k, settings.published_k) > least:
        asked = max(*settings.k, settings.published_k)
        raise CellError(
            f"k is {asked} and the smallest pool has {least} clips; lower prototypes.k and prototypes.published_k"
        )
