"""features and text table -> prototype scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.core.params import Params
    from pipeline.prototypes import Clips


def prototypes(
    manifest: Path,
    features: Path,
    out: Path,
    *,
    text: Path | None = None,
    coreset: Path | None = None,
    params: Params,
    report: Any,
) -> str:
    """Name clips by the nearest point of a pretrained encoder's space: a text, the mean of its neighbours, or of labelled clips.

    FEATURES is a folder of train.h5, val.h5 and test.h5 that `avdistill extract` wrote; MANIFEST says folds or splits, and labels.
    --text is what `avdistill extract-text` wrote by the same encoder: without it zero-shot and prototypes are not run. --coreset is
    where to write the training samples nearest to each text, a ranking without labels. See docs/guide/prototypes.md.

    Example: avdistill prototypes data/esc50/manifest.csv work/esc50/clap work/esc50/prototypes.json --text work/esc50/text.h5
    """
    from dataclasses import asdict

    from pipeline import prototypes as points
    from pipeline.core.errors import ParamsError
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.coresets.rankings import Coreset
    from pipeline.datasets.manifest import read_manifest, read_source
    from pipeline.features.store import read_texts
    from pipeline.prototypes.inputs import _count_clips, _encoder_of, _read_tables

    settings = params.build("prototypes", points.PrototypeSettings)
    for path in filter(None, (out, coreset)):
        refuse_existing(path)
    if coreset and not text:
        raise ParamsError("--coreset ranks samples by their nearness to texts; add --text")
    tables, digests = _read_tables(features)
    clips = points.gather_clips(
        read_manifest(manifest), tables, settings.modality, settings.shared_groups
    )
    texts = None
    if text:
        texts, digests["text"] = read_texts(text)
        points.refuse_other_texts(texts, str(text), tables, settings.modality, clips.classes)
    found = points.evaluate_rows(clips, texts, settings, report)
    found["rows"] += points.list_missing_rows(
        read_source(manifest).name, _encoder_of(tables, settings.modality)
    )
    about = {
        "tables": digests,
        "params": asdict(settings),
        "classes": clips.classes,
        **_count_clips(clips),
    }
    write_json(out, {**about, **found})
    if coreset and texts:
        ranking = points.rank_samples(tables["train"], texts, settings.modality, settings.most)
        made_from = {"table": digests["train"], "shards": tables["train"].origin.shards}
        write_json(
            coreset, Coreset(selector="prototypes", seed=0, ranking=ranking, **made_from).to_json()
        )
    return "\n".join(
        [
            *_format_rows(found["rows"]),
            _format_summary(clips),
            *(f"-> {path}" for path in (out, coreset) if path),
        ]
    )


def _format_summary(clips: Clips) -> str:
    from pipeline.prototypes.inputs import _count_clips

    counts = _count_clips(clips)
    told = f"{counts['clips']} clips in {counts['parts']}, {counts['clips_without_vector']} more have no vector"
    return (
        told
        + f"; {len(counts['classes_without_positives'])} of {len(clips.classes)} classes are in no test clip"
    )


def _format_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line per row: its scores, or what it needs."""
    from pipeline.core.scores import format_score

    for row in rows:
        if "not_run" in row:
            yield f"{row['row']}{' of ' + row['encoder'] if 'encoder' in row else ''}: not run: {row['not_run']}"
            continue
        setting = [
            f"{row['template']!r}" if row["template"] else "",
            f"k={row['k']}" if row["k"] else "",
        ]
        name = " ".join(filter(None, [row["row"], *setting]))
        yield f"{name}: {'  '.join(f'{metric} {format_score(x)}' for metric, x in row['metrics'].items())}"
