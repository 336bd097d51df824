"""Read the manifest, the feature tables and the texts of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import StoreError
from pipeline.core.paths import to_path
from pipeline.core.records import SPLITS, space_of
from pipeline.datasets.manifest import read_manifest, read_source
from pipeline.features.store import read_features, read_texts
from pipeline.prototypes.clips import gather_clips, refuse_other_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import Features, Texts
    from pipeline.prototypes.clips import Clips
    from pipeline.prototypes.rows import PrototypeSettings


@dataclass(frozen=True, kw_only=True)
class PrototypeInputs:
    """The inputs of an evaluation.

    Args:
        dataset: name of the manifest's dataset.
        clips: of the manifest, with their vectors.
        tables: split -> its features.
        texts: vectors of the classes' prompts, if there are any.
        encoder: public name of the encoder, or the digest of its space.
        digests: split or "text" -> digest of its table.
    """

    dataset: str
    clips: Clips
    tables: Mapping[str, Features]
    texts: Texts | None
    encoder: str
    digests: Mapping[str, str]


def read_inputs(
    manifest: AnyPath, features: AnyPath, text: AnyPath | None, settings: PrototypeSettings
) -> PrototypeInputs:
    """Read the inputs, and check that they belong together.

    Args:
        manifest: of the dataset, with labels and splits or folds.
        features: the folder of train.h5, val.h5 and test.h5.
        text: the table of texts, if there is one.
        settings: section `prototypes`.

    Raises:
        SourceError: some clips have no fold, or too many recordings are in several folds.
        StoreError: tables are missing, or of several encoders.
    """
    manifest, features = to_path(manifest), to_path(features)
    text = to_path(text) if text else None
    tables, digests = _read_tables(features)
    clips = gather_clips(read_manifest(manifest), tables, settings.modality, settings.shared_groups)
    texts = None
    if text:
        texts, digests["text"] = read_texts(text)
        refuse_other_texts(texts, str(text), tables, settings.modality, clips.classes)
    origin = tables["train"].origin
    return PrototypeInputs(
        dataset=read_source(manifest).name,
        clips=clips,
        tables=tables,
        texts=texts,
        encoder=str(origin.params.get("model", space_of(origin, settings.modality))),
        digests=digests,
    )


def _read_tables(folder: Path) -> tuple[dict[str, Features], dict[str, str]]:
    """Return split -> its features, and split -> digest of its table."""
    paths = {split: folder / f"{split}.h5" for split in SPLITS if (folder / f"{split}.h5").exists()}
    if "train" not in paths:
        raise StoreError(
            f"{folder} holds no train.h5; `avdistill extract` writes it, and val.h5 and test.h5"
        )
    tables, digests = {}, {}
    for split, path in paths.items():
        tables[split], digests[split] = read_features(path)
    return tables, digests
