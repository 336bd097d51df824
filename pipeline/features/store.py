"""The feature store: HDF5 tables of embeddings.

There is one table per (dataset, split, extractor), keyed like the samples, and one per (label map,
templates, extractor), with a row per template and class. Attributes of a table of samples are the
fields of `Origin` and, per modality, the number and width of the vectors, and the least, the mean
and the greatest norm.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core import hdf5
from pipeline.core.errors import StoreError, TableError
from pipeline.core.files import digest_of, shorten_digest
from pipeline.core.paths import to_path
from pipeline.core.records import Features, Origin, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.paths import AnyPath

FORMAT = "avdistill-features"
TEXTS = "avdistill-texts"
_ROWS = ("key", "label")


def write_features(path: AnyPath, features: Features) -> str:
    """Write a table with the columns key, label and one per modality; return its digest.

    Args:
        path: the file to write.
        features: embeddings of one split.

    Raises:
        StoreError: a vector holds NaN or infinite numbers, or a sample has more than one row.

    Example:
        digest = write_features(Path("work/ave/features.h5"), features)
    """
    duplicates = len(features.keys) - len(set(features.keys))
    if duplicates:
        raise StoreError(
            f"{duplicates} of {len(features.keys)} rows have a key that another row has; "
            "expected one row per sample"
        )
    for modality, vectors in features.vectors.items():
        _refuse_infinite(vectors, modality, features.keys)
    columns = {"key": np.array(features.keys), "label": features.label, **features.vectors}
    about = {
        "format": FORMAT,
        "classes": list(features.classes),
        "statistics": compute_statistics(features),
    }
    return hdf5.write_table(path, columns, {**asdict(features.origin), **about})


def read_features(path: AnyPath, **expected: str) -> tuple[Features, str]:
    """Read a table of samples; return the features and the table's digest.

    Args:
        path: written by `write_features`.
        expected: fields of `Origin` and the values that they must have, e.g. shards=real.digest.

    Raises:
        StoreError: the file is missing, damaged, no such table, or of other values than expected.

    Example:
        features, digest = read_features(Path("work/ave/features.h5"), shards=real.digest)
        features.vectors["frame"]  # float32 [N, D]
    """
    path = to_path(path)
    try:
        columns, attributes = hdf5.read_table(path)
    except TableError as error:
        raise StoreError(f"{error}; `avdistill extract` writes feature tables") from error
    origin = origin_of(path, attributes)
    for name, value in expected.items():
        if getattr(origin, name) != value:
            raise StoreError(
                f"{path} is of {name} {shorten_digest(getattr(origin, name))}, "
                f"expected {name} {shorten_digest(value)}; run `avdistill extract` again"
            )
    features = Features(
        keys=tuple(columns["key"].tolist()),
        label=columns["label"],
        vectors={name: column for name, column in columns.items() if name not in _ROWS},
        classes=tuple(json.loads(attributes["classes"])),
        origin=origin,
    )
    return features, str(attributes[hdf5.DIGEST])


def write_texts(path: AnyPath, texts: Texts) -> str:
    """Write a table with the columns label, template, prompt and text; return its digest.

    It has one row per template and class.

    Args:
        path: the file to write.
        texts: embedded prompts.

    Raises:
        StoreError: a vector holds NaN or infinite numbers.

    Example:
        digest = write_texts(Path("work/esc50/text.h5"), texts)
    """
    templates, classes, width = texts.vectors.shape
    vectors = texts.vectors.reshape(-1, width)
    _refuse_infinite(vectors, "text", [repr(prompt) for prompt in texts.prompts])
    columns = {
        "label": np.tile(np.arange(classes), templates),
        "template": np.repeat(np.arange(templates), classes),
        "prompt": np.array(texts.prompts),
        "text": vectors,
    }
    names = ("extractor", "params", "weights", "classes", "templates")
    about = {name: getattr(texts, name) for name in names}
    return hdf5.write_table(
        path, columns, {**about, "format": TEXTS, "label_map": digest_label_map(texts)}
    )


def read_texts(path: AnyPath) -> tuple[Texts, str]:
    """Read a table of prompts; return the texts and the table's digest.

    Args:
        path: written by `write_texts`.

    Raises:
        StoreError: the file is missing, damaged or no such table.

    Example:
        texts, digest = read_texts(Path("work/esc50/text.h5"))
        texts.vectors  # float32 [templates, classes, D]
    """
    path = to_path(path)
    try:
        columns, attributes = hdf5.read_table(path)
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
    return texts, str(attributes[hdf5.DIGEST])


def digest_label_map(texts: Texts) -> str:
    """Return a digest of the classes and the prompts of each.

    Args:
        texts: embedded prompts.

    Example:
        digest_label_map(clip_texts) == digest_label_map(clap_texts)  # of the same table of prompts
    """
    return digest_of([texts.classes, texts.prompts])


def origin_of(path: AnyPath, attributes: Mapping[str, Any]) -> Origin:
    """Return the extractor and the shards that a table's attributes name.

    Args:
        path: of the table, for messages.
        attributes: as `hdf5.read_table` gives them.

    Raises:
        StoreError: they are not those of a table of samples.

    Example:
        origin_of(path, read_attributes(path)[1]).extractor  # "clip"
    """
    path = to_path(path)
    if attributes.get("format") != FORMAT:
        raise StoreError(f"{path} is no feature table; expected what `avdistill extract` writes")
    missing = [field.name for field in fields(Origin) if field.name not in attributes]
    if missing:
        raise StoreError(
            f"{path} lacks the attributes {', '.join(missing)}; run `avdistill extract` again"
        )
    values = {field.name: attributes[field.name] for field in fields(Origin)}
    return Origin(**{**values, "params": json.loads(values["params"])})


def format_statistics(features: Features) -> str:
    """Return the statistics in one line.

    Args:
        features: of one split.

    Example:
        format_statistics(features)  # "frame 512 wide with norms 1 to 1"
    """
    return ", ".join(
        f"{modality} {values['width']} wide "
        f"with norms {values['least_norm']:.3g} to {values['greatest_norm']:.3g}"
        for modality, values in compute_statistics(features).items()
    )


def compute_statistics(features: Features) -> dict[str, dict[str, float]]:
    """Return each modality's count and width of vectors, and their least, mean and greatest norm.

    Norms have six digits.

    Args:
        features: of one split.

    Example:
        compute_statistics(features)["frame"]["width"]  # 512
    """
    result = {}
    for modality, vectors in features.vectors.items():
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        spread = {
            "least_norm": norms.min(),
            "mean_norm": norms.mean(),
            "greatest_norm": norms.max(),
        }
        result[modality] = {
            "count": len(vectors),
            "width": vectors.shape[1],
            **{name: float(f"{x:.6g}") for name, x in spread.items()},
        }
    return result


def _refuse_infinite(vectors: np.ndarray, kind: str, names: Sequence[str]) -> None:
    """Refuse vectors [N, D] with NaN or infinite numbers; `names` has one per vector."""
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise StoreError(
            f"{len(wrong)} of {len(vectors)} {kind} vectors hold NaN or infinite numbers, "
            f"first {names[wrong[0]]}; check the encoder that made them"
        )
