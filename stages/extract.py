"""shards -> features"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def extract(shards: Path, out: Path, *, extractor: str, params: Params, device: str, report: Any) -> str:
    """Embed every sample of one split: a table of features keyed like the samples.

    SHARDS is one split's folder, as a rule the training split; EXTRACTOR names a section of `extract`.

    Example: avdistill extract data/generated/shards/train work/generated/features.h5 --extractor convnet
    """
    from pipeline import plugins
    from pipeline.files import refuse_existing
    from pipeline.shards import read_shards
    from pipeline.store import write_features
    from stages._machine import device_of
    from stages._plugins import every

    refuse_existing(out)
    plugin = params.build(f"extract.{extractor}", plugins.find("extractors", extractor))
    features = plugin.embed(read_shards(shards), every("networks", params), device_of(device), report)
    digest = write_features(out, features)
    widths = ", ".join(f"{modality} {vectors.shape[1]}" for modality, vectors in features.vectors.items())
    return f"{len(features.keys)} rows, {widths}, digest {digest[:12]} -> {out}"
