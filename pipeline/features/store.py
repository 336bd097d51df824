"""The feature store: one table of embeddings per (dataset, split, extractor), keyed like the samples, that says what it is of.

Of prompts there is one per (label map, templates, extractor), with a row per template and class. Beside its rows a table of samples
carries, as attributes, the fields of `Origin` and, per modality, how many vectors there are, how wide they are, and the least, the
mean and the greatest of their norms.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core import hdf5 as tables
from pipeline.core.errors import StoreError, TableError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.core.records import Features, Origin, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "avdistill-features"
TEXTS = "avdistill-texts"
_ROWS = ("key", "label")


def write_features(path: Path, features: Features) -> str:
    """Write key, label and one float32 [N, D] per modality; return the table's digest.

    Raises:
        StoreError: a vector holds NaN or infinite numbers, or a sample has more than one row, as in tables that were put together.
    """
    twice = len(features.keys) - len(set(features.keys))
    if twice:
        raise StoreError(
            f"{twice} of {len(features.keys)} rows have a key that another row has; expected one row per sample"
        )
    for modality, vectors in features.vectors.items():
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            found = f"{len(wrong)} of {len(vectors)} {modality} vectors hold NaN or infinite numbers, first {features.keys[wrong[0]]}"
            raise StoreError(f"{found}; look at the encoder that made them")
    columns = {"key": np.array(features.keys), "label": features.label, **features.vectors}
    about = {
        "format": FORMAT,
        "classes": list(features.classes),
        "statistics": compute_statistics(features),
    }
    return tables.write_table(path, columns, {**asdict(features.origin), **about})


def read_features(path: Path, **expected: str) -> tuple[Features, str]:
    """The features and their table's digest.

    Args:
        expected: fields of `Origin` and what they must be, e.g. shards=real.digest: a reader of stale features is refused.

    Raises:
        StoreError: the file is missing, damaged, something else, or stale; then both digests are named.
    """
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise StoreError(f"{error}; `avdistill extract` writes feature tables") from error
    origin = origin_of(path, attributes)
    for name, wanted in expected.items():
        found = getattr(origin, name)
        if found != wanted:
            is_of = f"{path} is of {name} {shorten_digest(found)}, expected {name} {shorten_digest(wanted)}"
            raise StoreError(f"{is_of}; run `avdistill extract` again")
    features = Features(
        keys=tuple(columns["key"].tolist()),
        label=columns["label"],
        vectors={name: column for name, column in columns.items() if name not in _ROWS},
        classes=tuple(json.loads(attributes["classes"])),
        origin=origin,
    )
    return features, str(attributes[tables.DIGEST])


def write_texts(path: Path, texts: Texts) -> str:
    """Write label, template, prompt and text float32 [N, D], a row per template and class; return the table's digest.

    Raises:
        StoreError: a vector holds NaN or infinite numbers.
    """
    templates, classes, width = texts.vectors.shape
    vectors = texts.vectors.reshape(-1, width)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        found = f"{len(wrong)} of {len(vectors)} text vectors hold NaN or infinite numbers, first {texts.prompts[wrong[0]]!r}"
        raise StoreError(f"{found}; look at the encoder that made them")
    columns = {
        "label": np.tile(np.arange(classes), templates),
        "template": np.repeat(np.arange(templates), classes),
        "prompt": np.array(texts.prompts),
        "text": vectors,
    }
    told = {
        name: getattr(texts, name)
        for name in ("extractor", "params", "weights", "classes", "templates")
    }
    return tables.write_table(
        path, columns, {**told, "format": TEXTS, "label_map": digest_label_map(texts)}
    )


def read_texts(path: Path) -> tuple[Texts, str]:
    """The texts and their table's digest; StoreError if the file is missing, damaged or something else."""
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise StoreError(f"{error}; `avdistill extract-text` writes text tables") from error
    if attributes.get("format") != TEXTS:
        raise StoreError(f"{path} is no text table; expected what `avdistill extract-text` writes")
    classes, templates = (tuple(json.loads(attributes[name])) for name in ("classes", "templates"))
    texts = Texts(
        classes=classes,
        templates=templates,
        prompts=tuple(columns["prompt"].tolist()),
        vectors=columns["text"].reshape(len(templates), len(classes), -1),
        extractor=attributes["extractor"],
        params=json.loads(attributes["params"]),
        weights=attributes["weights"],
    )
    return texts, str(attributes[tables.DIGEST])


def digest_label_map(texts: Texts) -> str:
    """Digest of what each class is called."""
    return digest_of([texts.classes, texts.prompts])


def origin_of(path: Path, attributes: Mapping[str, Any]) -> Origin:
    """What a table's attributes say that it is of; StoreError if they are not a feature table's."""
    if attributes.get("format") != FORMAT:
        raise StoreError(f"{path} is no feature table; expected what `avdistill extract` writes")
    missing = [field.name for field in fields(Origin) if field.name not in attributes]
    if missing:
        raise StoreError(
            f"{path} does not say its {', '.join(missing)}; run `avdistill extract` again"
        )
    given = {field.name: attributes[field.name] for field in fields(Origin)}
    return Origin(**{**given, "params": json.loads(given["params"])})


def format_statistics(features: Features) -> str:
    """The statistics in a line."""
    return ", ".join(
        f"{modality} {about['width']} wide with norms {about['least_norm']:.3g} to {about['greatest_norm']:.3g}"
        for modality, about in compute_statistics(features).items()
    )


def compute_statistics(features: Features) -> dict[str, dict[str, float]]:
    """Per modality: how many vectors, how wide, and the least, mean and greatest norm, to six digits."""
    told = {}
    for modality, vectors in features.vectors.items():
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        spread = {
            "least_norm": norms.min(),
            "mean_norm": norms.mean(),
            "greatest_norm": norms.max(),
        }
        told[modality] = {
            "count": len(vectors),
            "width": vectors.shape[1],
            **{name: float(f"{x:.6g}") for name, x in spread.items()},
        }
    return told
