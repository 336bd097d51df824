"""Batches of an extractor that embeds sample by sample, with partial results that are kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pipeline.core.errors import ShardError
from pipeline.core.files import shorten_digest
from pipeline.core.records import Features, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet, Rows

# Batches per partial result: not too many files, and little work is lost when a run is killed.
BATCHES = 16


def rows_of(real: RealSet, modality: str) -> Rows:
    """Return the rows of the modality that an encoder reads.

    Args:
        real: the set.
        modality: e.g. frame or wave.

    Raises:
        ShardError: the shards do not hold it.

    Example:
        rows_of(real, "frame")[:8]  # u8 [8, T, 3, H, W]
    """
    if modality not in real.rows:
        raise ShardError(
            f"the shards hold {', '.join(real.rows)} and no {modality}; "
            f"put {modality} into decode.modalities and run `avdistill decode` again"
        )
    return real.rows[modality]


@torch.no_grad()
def embed_in_batches(
    real: RealSet,
    encode: Callable[[slice], dict[str, Tensor]],
    origin: Origin,
    batch: int,
    cache: PartialResults,
    report: Callable[..., None],
) -> Features:
    """Embed every sample of a real set.

    Partial results are whole batches, named by the encoder's weights. So a table is never of two
    encoders, and a run that was stopped and started again gives the same bits.

    Args:
        real: the set.
        encode: slice of n samples -> vectors [n, D] per modality.
        origin: of the features.
        batch: samples per call of `encode`.
        cache: keeps the partial results.
        report: called with (done, total) samples.

    Example:
        embed_in_batches(real, encode, origin, 64, cache, report).vectors["frame"]  # float32 [N, D]
    """
    report(0, len(real))
    results = []
    for first in range(0, len(real), batch * BATCHES):
        end = min(first + batch * BATCHES, len(real))
        slices = [slice(i, min(i + batch, end)) for i in range(first, end, batch)]
        make = partial(_embed_slices, encode, slices, lambda done: report(done, len(real)))
        name = f"{shorten_digest(origin.weights)}-{first:08d}-{end:08d}"
        results.append(cache.load_or_make(name, make))
    return Features(
        keys=real.keys,
        label=real.label.numpy(),
        vectors={m: rows.numpy() for m, rows in _concatenate(results).items()},
        classes=real.classes,
        origin=origin,
    )


def _embed_slices(
    encode: Callable[[slice], dict[str, Tensor]],
    slices: Sequence[slice],
    report: Callable[[int], None],
) -> dict[str, Tensor]:
    outputs = []
    for index in slices:
        outputs.append({m: rows.float().cpu() for m, rows in encode(index).items()})
        report(index.stop)
    return _concatenate(outputs)


def _concatenate(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}


def build_origin(real: RealSet, extractor: str, plugin: Any, weights: str) -> Origin:
    """Return the origin of an extractor's features.

    Args:
        real: the set that was embedded.
        extractor: the plugin's name.
        plugin: the plugin, a dataclass.
        weights: digest of the encoder's weights, or of the files of vectors.

    Example:
        build_origin(real, "clip", plugin, tensors.digest(model.state_dict())).shards  # real.digest
    """
    return Origin(
        extractor=extractor,
        params=json.loads(json.dumps(asdict(plugin))),
        shards=real.digest,
        preprocessing=real.preprocessing,
        weights=weights,
    )
