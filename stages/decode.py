"""manifest -> shards and ledger"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.core.paths import Place


def decode(
    manifest: Place,
    shards: Place,
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

    SHARDS gets <split>/{shard-*.tar, index.json}; leaks.csv with near-duplicates across splits; and
    ledger.csv, where each clip and each window is ok or has a reason. Shards whose input has not
    changed are kept, so a second run resumes. --retry REASON, repeatable, decodes the shards again
    that hold a clip with that reason. --limit N takes N clips only, of all classes and splits in
    turn. Exit code 3: more rejects than decode.max_reject_fraction.

    --engine ray decodes on a Ray cluster. Every node must have this very version and the media at
    the manifest's paths. The clips of a shard are one task, which takes one CPU; --workers has no
    effect. The bytes are those of --engine local.

    Example: avdistill decode data/generated/manifest.csv data/generated/shards --workers 2
    """
    import torch

    from pipeline.datasets.manifest import find_missing, read_manifest, read_source
    from pipeline.shards.decode import decode_all
    from pipeline.shards.ledger import format_counts
    from pipeline.shards.outcomes import limit_clips
    from pipeline.shards.settings import DecodeSettings
    from stages._runtime import engine_of

    # Log-mels are made one clip at a time; idle threads would compete with the workers.
    torch.set_num_threads(1)
    clips = read_manifest(manifest)
    taken = limit_clips(clips, limit) if limit else clips
    settings, source = params.build("decode", DecodeSettings), read_source(manifest)
    counts = decode_all(
        taken, shards, settings, engine_of(engine, workers, address), report, retry, source
    )
    notes = [f"{len(taken)} of {len(clips)} clips, as --limit says"] * bool(limit)
    notes += [
        f"the {split} split lists no clip of {', '.join(names)}; evaluate will ask for some"
        for split, names in find_missing(clips).items()
    ]
    return "\n".join([*notes, *format_counts(counts, shards), f"-> {shards}"])
