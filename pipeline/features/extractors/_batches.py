"""What extractors share that embed sample by sample: batches on the device, parts that are kept, and the table."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core.errors import ShardError
from pipeline.core.files import shorten_digest
from pipeline.core.records import Features, Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet, Rows

# Batches per kept part: few files for a large set, little lost when a run is killed.
BATCHES = 16


def rows_of(real: RealSet, modality: str) -> Rows:
    """The rows of a modality that an encoder reads; ShardError if the shards do not hold it."""
    if modality not in real.rows:
        held = f"the shards hold {', '.join(real.rows)} and no {modality}"
        raise ShardError(
            f"{held}; put {modality} into decode.modalities and run `avdistill decode` again"
        )
    return real.rows[modality]


@torch.no_grad()
def embed_in_batches(
    real: RealSet,
    encode: Callable[[slice], dict[str, Tensor]],
    source: Origin,
    batch: int,
    parts: PartialResults,
    report: Callable[..., None],
) -> Features:
    """Features of a whole real set: `encode`, modality -> [n, D], of every sample, `batch` at a time.

    Parts are whole batches and named by the encoder's weights, so that a table is never of two encoders, and a run that
    goes on gives the bits of a run that was never stopped.
    """
    made = []
    report(0, len(real))
    for first in range(0, len(real), batch * BATCHES):
        end = min(first + batch * BATCHES, len(real))

        def embed_part(first: int = first, end: int = end) -> dict[str, Tensor]:
            passes = []
            for start in range(first, end, batch):
                stop = min(start + batch, end)
                passes.append(
                    {m: rows.float().cpu() for m, rows in encode(slice(start, stop)).items()}
                )
                report(stop, len(real))
            return {m: torch.cat([rows[m] for rows in passes]) for m in passes[0]}

        made.append(
            parts.load_or_make(
                f"{shorten_digest(source.weights)}-{first:08d}-{end:08d}", embed_part
            )
        )
    vectors = {m: torch.cat([rows[m] for rows in made]).numpy() for m in made[0]}
    return Features(
        keys=real.keys,
        label=real.label.numpy(),
        vectors=vectors,
        classes=real.classes,
        origin=source,
    )


def build_origin(real: RealSet, extractor: str, plugin: Any, weights: str) -> Origin:
    """What a plugin's embeddings of a real set come from."""
    return Origin(
        extractor=extractor,
        params=json.loads(json.dumps(asdict(plugin))),
        shards=real.digest,
        preprocessing=real.preprocessing,
        weights=weights,
    )
