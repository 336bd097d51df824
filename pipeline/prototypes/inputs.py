"""TODO from stages/prototypes.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.core.records import Features
    from pipeline.prototypes import Clips


def _read_tables(folder: Path) -> tuple[dict[str, Features], dict[str, str]]:
    """Split -> its features, and their digests; StoreError if the folder has none."""
    from pipeline.core.errors import StoreError
    from pipeline.core.records import SPLITS
    from pipeline.features.store import read_features

    paths = {split: folder / f"{split}.h5" for split in SPLITS if (folder / f"{split}.h5").exists()}
    if "train" not in paths:
        raise StoreError(
            f"{folder} holds no train.h5; `avdistill extract` writes it, and val.h5 and test.h5"
        )
    read = {split: read_features(path) for split, path in paths.items()}
    return {split: table for split, (table, _) in read.items()}, {
        split: digest for split, (_, digest) in read.items()
    }


def _encoder_of(tables: Mapping[str, Features], modality: str) -> str:
    """The encoder's public name, if it has one."""
    from pipeline.core.records import space_of

    origin = tables["train"].origin
    return str(origin.params.get("model", space_of(origin, modality)))


def _count_clips(clips: Clips) -> dict[str, Any]:
    return {
        "clips": len(clips.ids),
        "clips_without_vector": clips.without,
        "parts": "folds" if clips.folded else "splits",
        "shared_groups": clips.parted,
        "classes_without_positives": [
            name for name, some in zip(clips.classes, clips.tested_classes, strict=True) if not some
        ],
        "clips_without_label": int((~clips.has.any(1)).sum()),
    }
