"""manifest -> shards and ledger"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.core.paths import PathOrURL


def decode(
    manifest: PathOrURL,
    shards: PathOrURL,
    *,
    retry: tuple[str, ...] = (),
    limit: int = 0,
    params: Params,
    workers: int,
    engine: str,
    address: str,
    report: Any,
) -> str:
    """Decode every clip into one-second samples, frame and log-mel, in tar shards per split.

    SHARDS gets <split>/{shard-*.tar, index.json}; ledger.csv, where each clip and window is ok or
    has a reason; and leaks.csv with near-duplicates across splits. A second run keeps shards whose
    input has not changed. Exit code 3: more rejects than decode.max_reject_fraction. The nodes of
    a Ray cluster need this version and the manifest's paths; a shard takes one CPU there.

    Example: avdistill decode data/generated/manifest.csv data/generated/shards --workers 2
    """
    import torch

    from pipeline.datasets.manifest import limit_clips, read_manifest, read_source
    from pipeline.datasets.summary import describe_missing_classes
    from pipeline.distillation.feasibility import describe_infeasible
    from pipeline.shards.decode import decode_all
    from pipeline.shards.ledger import count_training_windows, format_counts
    from pipeline.shards.settings import DecodeSettings
    from stages._runtime import engine_of

    torch.set_num_threads(1)  # log-mels are made one clip at a time; idle threads would compete
    clips = read_manifest(manifest)
    taken = limit_clips(clips, limit) if limit else clips
    settings, runner = params.build("decode", DecodeSettings), engine_of(engine, workers, address)
    counts = decode_all(taken, shards, settings, runner, report, retry, read_source(manifest))
    notes = [f"{len(taken)} of {len(clips)} clips"] * bool(limit)
    notes += describe_missing_classes(clips)
    notes += describe_infeasible(count_training_windows(shards), settings.modalities, params)
    return "\n".join([*notes, *format_counts(counts, taken, shards), f"-> {shards}"])
