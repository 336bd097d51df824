"""Rows of the table: zero-shot, prototypes, and classifiers with labels.

Every choice is made on validation clips.
"""

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

# Names in place of a template: the mean of all templates, and the choice on validation clips.
ENSEMBLE, CHOSEN = "(ensemble)", "(chosen)"
# Rows that need texts.
TEXT_ROWS = ("zero-shot", "prototypes")


@dataclass(frozen=True, kw_only=True)
class PrototypeSettings:
    """Section `prototypes`.

    Args:
        modality: the column of the features that is read.
        k: numbers of neighbours to choose among.
        published_k: the paper's number of neighbours, a row of its own.
        most: samples per class of a coreset.
        shared_groups: recordings that may be in several folds or splits, as in official lists.
        penalties: of the linear row, to choose among.
        mlp: the network of the row `mlp`; as in the paper.
        repeats: trainings of the MLP.
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
        name: of the method.
        template: of the prompts, ENSEMBLE or CHOSEN.
        k: number of neighbours, or CHOSEN.
        runs: repeat -> scores of each round's test clips, float64 [n, C].
        chosen: the choice of each round.
    """

    name: str
    template: str | None = None
    k: int | str | None = None
    runs: Sequence[Sequence[np.ndarray]]
    chosen: Sequence[dict[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Chooses among candidates by their validation scores.

    Args:
        clips: all clips.
        trials: gets every validation score.
    """

    clips: Clips
    trials: list[dict[str, Any]]

    def choose_best(
        self,
        round_: Round,
        row: str,
        candidates: Sequence[dict[str, Any]],
        scores: Sequence[np.ndarray],
    ) -> tuple[int, float]:
        """Return the number and the value of the best candidate, the first of equals.

        Args:
            round_: the round of the choice.
            row: name of the row.
            candidates: JSON values of each candidate.
            scores: of the round's validation clips, by each candidate, [n, C].
        """
        targets = self.clips.targets[round_.val]
        average = averages.macro_average_precision if self.clips.multi_label else averages.accuracy
        ones = np.ones((1, len(targets)))
        values = [round(average(each, targets, ones).item(), 12) for each in scores]
        for candidate, value in zip(candidates, values, strict=True):
            self.trials.append({"round": round_.name, "row": row, **candidate, "score": value})
        best = int(np.argmax(values))
        return best, values[best]


def build_anchors(texts: Texts, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Return template -> unit vectors of the classes, float64 [C, D].

    With several templates, their mean direction is one more.

    Args:
        texts: vectors of the prompts.
        classes: order of the rows.
    """
    positions = [texts.classes.index(name) for name in classes]
    by_template = normalise_rows(texts.vectors[:, positions])
    anchors = dict(zip(texts.templates, by_template, strict=True))
    if len(by_template) > 1:
        anchors[ENSEMBLE] = normalise_rows(by_template.mean(0))
    return anchors


def score_text_rows(
    clips: Clips, texts: Texts, settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Yield zero-shot and prototypes: by each template, their ensemble, and the choice of a round.

    Args:
        clips: all clips.
        texts: vectors of the classes' prompts.
        settings: section `prototypes`.
        chooser: makes the choices.

    Raises:
        CellError: k is larger than a pool.
    """
    refuse_large_k(clips, settings)
    anchors = build_anchors(texts, clips.classes)
    yield from _score_zero_shot(clips, anchors, chooser)
    yield from _score_prototypes(clips, anchors, settings, chooser)


def score_labelled_rows(
    clips: Clips, settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Yield supervised prototypes, ridge regression and the MLP: the same vectors, with labels.

    Args:
        clips: all clips.
        settings: section `prototypes`.
        chooser: makes the choices.
    """
    x, y = clips.vectors, clips.targets
    means = [compute_class_means(x[each.reference], y[each.reference]) for each in clips.rounds]
    scores = [
        score_by_points(x[each.test], points, clips.multi_label)
        for each, points in zip(clips.rounds, means, strict=True)
    ]
    yield PrototypeRow(name="supervised prototypes", runs=[scores])
    yield _score_ridge(clips, settings, chooser)
    yield _score_mlp(clips, settings)


def _score_ridge(clips: Clips, settings: PrototypeSettings, chooser: Chooser) -> PrototypeRow:
    x, y, penalties = clips.vectors, clips.targets, settings.penalties
    candidates = [{"penalty": penalty} for penalty in penalties]
    scores, chosen = [], []
    for each in clips.rounds:
        val_scores = fit_predict_ridge(x[each.train], y[each.train], penalties, x[each.val])
        best, _ = chooser.choose_best(each, "linear", candidates, val_scores)
        scores += fit_predict_ridge(
            x[each.reference], y[each.reference], penalties[best : best + 1], x[each.test]
        )
        chosen.append(candidates[best])
    return PrototypeRow(name="linear", runs=[scores], chosen=chosen)


def _score_mlp(clips: Clips, settings: PrototypeSettings) -> PrototypeRow:
    x, y = clips.vectors, clips.targets
    runs = [
        [
            settings.mlp.fit_predict(
                x[each.reference],
                y[each.reference],
                x[each.test],
                clips.multi_label,
                make_generator("mlp", repeat, each.name),
            )
            for each in clips.rounds
        ]
        for repeat in range(settings.repeats)
    ]
    return PrototypeRow(name="mlp", runs=runs)


def _score_zero_shot(
    clips: Clips, anchors: Mapping[str, np.ndarray], chooser: Chooser
) -> Iterator[PrototypeRow]:
    templates, x = list(anchors), clips.vectors
    candidates = [{"template": template} for template in templates]
    scores = [
        [score_by_text(x[each.test], texts) for each in clips.rounds] for texts in anchors.values()
    ]
    for template, run in zip(templates, scores, strict=True):
        yield PrototypeRow(name="zero-shot", template=template, runs=[run])
    chosen = []
    for each in clips.rounds:
        val_scores = [score_by_text(x[each.val], texts) for texts in anchors.values()]
        chosen.append(chooser.choose_best(each, "zero-shot", candidates, val_scores)[0])
    yield PrototypeRow(
        name="zero-shot",
        template=CHOSEN,
        runs=[[scores[best][number] for number, best in enumerate(chosen)]],
        chosen=[candidates[best] for best in chosen],
    )


def _score_prototypes(
    clips: Clips, anchors: Mapping[str, np.ndarray], settings: PrototypeSettings, chooser: Chooser
) -> Iterator[PrototypeRow]:
    """Yield each template's best k, then the best template and k, then the published k."""
    nearest = {
        template: [rank_neighbours(clips.vectors[each.reference], texts) for each in clips.rounds]
        for template, texts in anchors.items()
    }

    def build_row(template: str, k: int | str, choices: Sequence[tuple[str, int]]) -> PrototypeRow:
        run = []
        for number, (each, (name, count)) in enumerate(zip(clips.rounds, choices, strict=True)):
            pool = clips.vectors[each.reference]
            points = build_prototypes(pool, nearest[name][number], count)
            run.append(score_by_points(clips.vectors[each.test], points, clips.multi_label))
        chosen = [{"template": name, "k": count} for name, count in choices]
        return PrototypeRow(name="prototypes", template=template, k=k, runs=[run], chosen=chosen)

    best = {
        template: [
            _choose_k(clips, each, template, texts, settings.k, chooser) for each in clips.rounds
        ]
        for template, texts in anchors.items()
    }
    for template in anchors:
        yield build_row(template, CHOSEN, [(template, k) for k, _ in best[template]])
    yield build_row(CHOSEN, CHOSEN, _choose_templates(best))
    k = settings.published_k
    for template in anchors:
        yield build_row(template, k, [(template, k)] * len(clips.rounds))


def _choose_k(
    clips: Clips,
    round_: Round,
    template: str,
    texts: np.ndarray,
    ks: Sequence[int],
    chooser: Chooser,
) -> tuple[int, float]:
    """Return the k that is best on a round's validation clips, and its value there."""
    pool = clips.vectors[round_.train]
    nearest = rank_neighbours(pool, texts)
    scores = [
        score_by_points(
            clips.vectors[round_.val], build_prototypes(pool, nearest, k), clips.multi_label
        )
        for k in ks
    ]
    candidates = [{"template": template, "k": k} for k in ks]
    best, value = chooser.choose_best(round_, "prototypes", candidates, scores)
    return ks[best], value


def _choose_templates(best: Mapping[str, Sequence[tuple[int, float]]]) -> list[tuple[str, int]]:
    """Return each round's best template and its k, the first of equals.

    Args:
        best: template -> (k, value) of each round.
    """
    choices = []
    for by_template in zip(*best.values(), strict=True):
        values = [value for _, value in by_template]
        number = max(range(len(values)), key=values.__getitem__)
        choices.append((list(best)[number], by_template[number][0]))
    return choices


def refuse_large_k(clips: Clips, settings: PrototypeSettings) -> None:
    """Refuse more neighbours than a pool has clips.

    Args:
        clips: all clips.
        settings: section `prototypes`.

    Raises:
        CellError: k is larger than a pool.
    """
    smallest = min(len(each.train) for each in clips.rounds)
    k = max(*settings.k, settings.published_k)
    if k > smallest:
        raise CellError(
            f"k is {k} and the smallest pool has {smallest} clips; "
            "lower prototypes.k and prototypes.published_k"
        )
