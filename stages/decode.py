"""manifest -> shards and ledger"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params


def decode(manifest: Path, shards: Path, *, params: Params, workers: int, report: Any) -> str:
    """Decode every clip into one-second samples, frame and log-mel, in tar shards per split.

    SHARDS gets <split>/{shard-*.tar, index.json} and ledger.csv, where each clip and each window is ok or has a reason.
    Shards whose input stands are kept, so this resumes. Exit code 3: more rejects than decode.max_reject_fraction.

    Example: avdistill decode data/generated/manifest.csv data/generated/shards --workers 2
    """
    from pipeline.decoding import Decode, decode_all
    from pipeline.manifest import read_manifest

    counts = decode_all(read_manifest(manifest), shards, params.build("decode", Decode), workers, report)
    lines = []
    for noun, (total, *parts) in ((noun, list(counts[noun].items())) for noun in ("clips", "windows")):
        lines.append(f"{noun}: {total[1]} {total[0]} = {' + '.join(f'{count} {verdict}' for verdict, count in parts)}")
    return "\n".join([*lines, f"-> {shards}"])
