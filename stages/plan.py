"""manifest -> predicted cost of decoding it"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def plan(manifest: Path, *, sample: int = 50, params: Params, workers: int) -> str:
    """Predict CPU hours, wall time, disk, memory and shards of decoding a manifest.

    --sample N clips, drawn with a fixed seed, are decoded by one worker, as the params file says;
    no file is kept. Clips that fail count with their cost.

    Example: avdistill plan data/generated/manifest.csv --sample 50 --workers 2
    """
    import torch

    from pipeline.datasets.manifest import read_manifest
    from pipeline.shards.plan import describe, forecast
    from pipeline.shards.settings import DecodeSettings

    torch.set_num_threads(1)
    return describe(
        forecast(read_manifest(manifest), params.build("decode", DecodeSettings), sample, workers)
    )
