"""Classes as points of a pretrained encoder's space, and what a clip's nearest point says: no training, or little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.coresets.rankings import Ranking
from pipeline.prototypes.clips import Clips, gather_clips, refuse_other_texts
from pipeline.prototypes.points import rank_neighbours
from pipeline.prototypes.published import list_missing_rows
from pipeline.prototypes.rows import (
    BY_TEXT,
    ENSEMBLE,
    Chooser,
    PrototypeSettings,
    build_anchors,
    score_labelled_rows,
    score_text_rows,
)
from pipeline.prototypes.summaries import summarise_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.core.records import Features, Texts

__all__ = [
    "Clips",
    "PrototypeSettings",
    "evaluate_rows",
    "gather_clips",
    "list_missing_rows",
    "rank_samples",
    "refuse_other_texts",
]

NEEDS_TEXT = "needs text vectors of this encoder: run `avdistill extract-text`, and add --text"


def evaluate_rows(
    clips: Clips,
    texts: Texts | None,
    settings: PrototypeSettings,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    """`rows`: what each row reached, or what it needs; `trials`: every validation score behind a choice."""
    chooser = Chooser(clips=clips, trials=[])
    rows = [
        *(score_text_rows(clips, texts, settings, chooser) if texts else ()),
        *score_labelled_rows(clips, settings, chooser),
    ]
    told: list[dict[str, Any]] = (
        [] if texts else [{"row": row, "not_run": NEEDS_TEXT} for row in BY_TEXT]
    )
    for number, row in enumerate(rows, start=1):
        about = {"row": row.row, "template": row.template, "k": row.k, "chosen": list(row.chosen)}
        told.append({**about, "metrics": summarise_row(row, clips, settings.bootstrap)})
        report(number, len(rows))
    return {"rows": told, "trials": chooser.trials}


def rank_samples(features: Features, texts: Texts, modality: str, most: int) -> Ranking:
    """The samples nearest to each class's text, best first, by the ensemble of templates: no label is looked at.

    A sample may stand under several classes, and under one that is not its own.
    """
    from pipeline.prototypes.clips import normalise_rows

    known = build_anchors(texts, features.classes)
    nearest = rank_neighbours(
        normalise_rows(features.vectors[modality]), known.get(ENSEMBLE, known[texts.templates[0]])
    )
    return Ranking(
        {
            name: tuple(features.keys[row] for row in nearest[:most, number])
            for number, name in enumerate(features.classes)
        }
    )
