"""Evaluate every row of the table; rank samples by their distance to the classes' texts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ParamsError
from pipeline.core.scores import format_score
from pipeline.coresets.rankings import Coreset, Ranking
from pipeline.prototypes.clips import normalise_rows
from pipeline.prototypes.points import rank_neighbours
from pipeline.prototypes.rows import (
    ENSEMBLE,
    TEXT_ROWS,
    Chooser,
    build_anchors,
    score_labelled_rows,
    score_text_rows,
)
from pipeline.prototypes.summaries import summarise_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipeline.core.records import Features, Texts
    from pipeline.prototypes.clips import Clips
    from pipeline.prototypes.inputs import PrototypeInputs
    from pipeline.prototypes.rows import PrototypeSettings

NEEDS_TEXT = "needs text vectors of this encoder: run `avdistill extract-text`, and add --text"
# The paper's table (Kushwaha and Fuentes, Interspeech 2023): dataset -> encoder -> rows. Encoders
# have their names of extract.<name>.model or extract.external.spaces.
ALL_ROWS = ("zero-shot", "prototypes", "supervised prototypes", "mlp")
ROWS_BY_ENCODER = {
    "Wav2CLIP": ("zero-shot", "mlp"),
    "AudioCLIP": ALL_ROWS,
    "MS CLAP": ("zero-shot", "mlp"),
    "laion/clap-htsat-fused": ALL_ROWS,
}
PUBLISHED_ROWS = dict.fromkeys(("ESC-50", "UrbanSound8K", "FSD50K"), ROWS_BY_ENCODER)


def evaluate_inputs(
    inputs: PrototypeInputs, settings: PrototypeSettings, report: Callable[[int, int], None]
) -> dict[str, Any]:
    """Return the JSON of an evaluation: inputs, counts, rows and trials.

    Args:
        inputs: clips and texts.
        settings: section `prototypes`.
        report: called with (done, total) after each row.
    """
    result = evaluate_rows(inputs.clips, inputs.texts, settings, report)
    result["rows"] += list_missing_rows(inputs.dataset, inputs.encoder)
    about = {
        "tables": inputs.digests,
        "params": asdict(settings),
        "classes": inputs.clips.classes,
        **_count_clips(inputs.clips),
    }
    return {**about, **result}


def evaluate_rows(
    clips: Clips,
    texts: Texts | None,
    settings: PrototypeSettings,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    """Evaluate every row; without texts, those that need them are listed as not run.

    Args:
        clips: all clips.
        texts: vectors of the classes' prompts.
        settings: section `prototypes`.
        report: called with (done, total) after each row.

    Returns:
        `rows`: the scores of each row, or what it needs. `trials`: every validation score behind a
        choice.
    """
    chooser = Chooser(clips=clips, trials=[])
    rows = [
        *(score_text_rows(clips, texts, settings, chooser) if texts else ()),
        *score_labelled_rows(clips, settings, chooser),
    ]
    entries: list[dict[str, Any]] = (
        [] if texts else [{"row": name, "not_run": NEEDS_TEXT} for name in TEXT_ROWS]
    )
    for number, row in enumerate(rows, start=1):
        about = {"row": row.name, "template": row.template, "k": row.k, "chosen": list(row.chosen)}
        entries.append({**about, "metrics": summarise_row(row, clips, settings.bootstrap)})
        report(number, len(rows))
    return {"rows": entries, "trials": chooser.trials}


def list_missing_rows(dataset: str, encoder: str) -> Iterator[dict[str, str]]:
    """Yield the published rows of a dataset by other encoders, and what each needs.

    Args:
        dataset: name of the manifest's dataset.
        encoder: its rows are left out.
    """
    for other, rows in PUBLISHED_ROWS.get(dataset, {}).items():
        if other != encoder:
            needs = f"needs vectors of {dataset} by {other}"
            yield from ({"row": name, "encoder": other, "not_run": needs} for name in rows)


def rank_samples(features: Features, texts: Texts, modality: str, most: int) -> Ranking:
    """Rank the samples nearest to each class's text, by the mean of all templates.

    No label is read: a sample may be listed under several classes, and under a class that is not
    its own.

    Args:
        features: of the samples.
        texts: vectors of the classes' prompts, by the same encoder.
        modality: of the features.
        most: samples per class.
    """
    anchors = build_anchors(texts, features.classes)
    nearest = rank_neighbours(
        normalise_rows(features.vectors[modality]),
        anchors.get(ENSEMBLE, anchors[texts.templates[0]]),
    )
    return Ranking(
        {
            name: tuple(features.keys[row] for row in nearest[:most, number])
            for number, name in enumerate(features.classes)
        }
    )


def rank_training_samples(inputs: PrototypeInputs, settings: PrototypeSettings) -> Coreset:
    """Rank the training samples nearest to each class's text: a coreset without labels.

    Args:
        inputs: features and texts.
        settings: section `prototypes`.

    Raises:
        ParamsError: there are no texts.
    """
    if inputs.texts is None:
        raise ParamsError(
            "samples are ranked by their distance to texts, and there are none; add --text"
        )
    train = inputs.tables["train"]
    return Coreset(
        selector="prototypes",
        seed=0,
        table=inputs.digests["train"],
        shards=train.origin.shards,
        ranking=rank_samples(train, inputs.texts, settings.modality, settings.most),
    )


def _count_clips(clips: Clips) -> dict[str, Any]:
    untested = [
        name
        for name, is_tested in zip(clips.classes, clips.tested_classes, strict=True)
        if not is_tested
    ]
    return {
        "clips": len(clips.ids),
        "clips_without_vector": clips.without_vector,
        "parts": "folds" if clips.has_folds else "splits",
        "shared_groups": clips.shared_groups,
        "classes_without_positives": untested,
        "clips_without_label": int((~clips.targets.any(1)).sum()),
    }


def format_result(result: Mapping[str, Any]) -> list[str]:
    """Return one line per row, and one with the counts of clips and classes.

    Args:
        result: of `evaluate_inputs`.
    """
    untested = len(result["classes_without_positives"])
    counts = (
        f"{result['clips']} clips in {result['parts']}, "
        f"{result['clips_without_vector']} more have no vector; "
        f"{untested} of {len(result['classes'])} classes are in no test clip"
    )
    return [*map(_format_row, result["rows"]), counts]


def _format_row(row: Mapping[str, Any]) -> str:
    if "not_run" in row:
        encoder = f" of {row['encoder']}" if "encoder" in row else ""
        return f"{row['row']}{encoder}: not run: {row['not_run']}"
    template = f"{row['template']!r}" if row["template"] else ""
    k = f"k={row['k']}" if row["k"] else ""
    scores = [f"{metric} {format_score(summary)}" for metric, summary in row["metrics"].items()]
    return f"{' '.join(filter(None, [row['row'], template, k]))}: {'  '.join(scores)}"
