"""Classes as points of a pretrained encoder's space, and what a clip's nearest point says: no training, or little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.coresets.rankings import Ranking
from pipeline.prototypes.clips import Clips, gathered, refuse_other_texts
from pipeline.prototypes.points import neighbours
from pipeline.prototypes.published import not_run
from pipeline.prototypes.rows import (
    BY_TEXT,
    ENSEMBLE,
    Chooser,
    Prototypes,
    anchors,
    by_text_rows,
    labelled_rows,
)
from pipeline.prototypes.summaries import summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.core.records import Features, Texts

__all__ = ["Clips", "Prototypes", "gathered", "measured", "not_run", "ranked", "refuse_other_texts"]

NEEDS_TEXT = "needs text vectors of this encoder: run `avdistill extract-text`, and add --text"


def measured(
    clips: Clips, texts: Texts | None, settings: Prototypes, report: Callable[[int, int], None]
) -> dict[str, Any]:
    """`rows`: what each row reached, or what it needs; `trials`: every validation score behind a choice."""
    chooser = Chooser(clips=clips, trials=[])
    rows = [
        *(by_text_rows(clips, texts, settings, chooser) if texts else ()),
        *labelled_rows(clips, settings, chooser),
    ]
    told: list[dict[str, Any]] = (
        [] if texts else [{"row": row, "not_run": NEEDS_TEXT} for row in BY_TEXT]
    )
    for number, row in enumerate(rows, start=1):
        about = {"row": row.row, "template": row.template, "k": row.k, "chosen": list(row.chosen)}
        told.append({**about, "metrics": summaries(row, clips, settings.bootstrap)})
        report(number, len(rows))
    return {"rows": told, "trials": chooser.trials}


def ranked(features: Features, texts: Texts, modality: str, most: int) -> Ranking:
    """The samples nearest to each class's text, best first, by the ensemble of templates: no label is looked at.

    A sample may stand under several classes, and under one that is not its own.
    """
    from pipeline.prototypes.clips import unit

    known = anchors(texts, features.classes)
    nearest = neighbours(
        unit(features.vectors[modality]), known.get(ENSEMBLE, known[texts.templates[0]])
    )
    return Ranking(
        {
            name: tuple(features.keys[row] for row in nearest[:most, number])
            for number, name in enumerate(features.classes)
        }
    )
