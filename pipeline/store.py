"""The feature store: one table of embeddings per (dataset, split, extractor), keyed like the samples, with its digests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from pipeline import tables
from pipeline.errors import StoreError, TableError
from pipeline.records import Features

if TYPE_CHECKING:
    from pathlib import Path

_ROWS = ("key", "label")


def write_features(path: Path, features: Features) -> str:
    """Write key, label and one float32 [N, D] per modality; return the table's digest."""
    columns = {"key": np.array(features.keys), "label": features.label, **features.vectors}
    return tables.write_table(
        path, columns, {**features.attributes, "format": "avdistill-features", "classes": list(features.classes)}
    )


def read_features(path: Path) -> tuple[Features, str]:
    """The features and their table's digest; StoreError if the file is missing, damaged or something else."""
    try:
        columns, attributes = tables.read_table(path)
    except TableError as error:
        raise StoreError(f"{error}; `avdistill extract` writes feature tables") from error
    if attributes.get("format") != "avdistill-features":
        raise StoreError(f"{path} is no feature table; expected what `avdistill extract` writes")
    own = ("format", "classes", tables.DIGEST)
    features = Features(
        keys=tuple(columns["key"].tolist()),
        label=columns["label"],
        vectors={name: column for name, column in columns.items() if name not in _ROWS},
        classes=tuple(json.loads(attributes["classes"])),
        attributes={name: str(value) for name, value in attributes.items() if name not in own},
    )
    return features, str(attributes[tables.DIGEST])
