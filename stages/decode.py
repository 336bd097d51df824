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

    SHARDS gets <split>/{shard-*.tar, index.json}, leaks.csv with near-duplicates across splits, and ledger.csv, where each clip and
    each window is ok or has a reason. Shards whose input stands are kept, so this resumes. --retry REASON, repeatable, decodes
    shards anew that hold a clip with that reason; --limit N takes N clips only, of all classes and splits in turn. Exit code 3:
    more rejects than decode.max_reject_fraction.

    --engine ray decodes on a Ray cluster: every node must have this very version and see the media under the manifest's paths. A
    shard's clips are one task, which takes one CPU; --workers is not asked. The bytes are those of --engine local.

    Example: avdistill decode data/generated/manifest.csv data/generated/shards --workers 2
    """
    import torch

    from pipeline.datasets.manifest import find_missing, read_manifest, read_source
    from pipeline.shards.decode import Decode, decode_all, limit_clips
    from stages._runtime import engine_of

    torch.set_num_threads(
        1
    )  # log-mels are made one clip at a time; idle threads would wait beside the workers
    clips = read_manifest(manifest)
    taken = limit_clips(clips, limit) if limit else clips
    settings, source = params.build("decode", Decode), read_source(manifest)
    counts = decode_all(
        taken, shards, settings, engine_of(engine, workers, address), report, retry, source
    )
    notes = [f"{len(taken)} of {len(clips)} clips, as --limit says"] * bool(limit)
    for split, names in find_missing(clips).items():
        notes.append(
            f"the {split} split lists no clip of {', '.join(names)}; evaluate will ask for some"
        )
    return "\n".join([*notes, *_format_counts(counts, shards), f"-> {shards}"])


def _format_counts(counts: dict[str, Any], shards: Place) -> list[str]:
    """The two equations, and how many windows of different splits are alike."""
    lines = []
    for noun, (total, *parts) in (
        (noun, list(counts[noun].items())) for noun in ("clips", "windows")
    ):
        lines.append(
            f"{noun}: {total[1]} {total[0]} = {' + '.join(f'{count} {verdict}' for verdict, count in parts)}"
        )
    if any(counts["leaks"].values()):
        pairs = ", ".join(f"{count} {splits}" for splits, count in counts["leaks"].items() if count)
        lines.append(f"near-duplicates across splits: {pairs}; see {shards / 'leaks.csv'}")
    return lines
