"""Measure the resident memory of decoding over many clips.

    python benchmarks/soak.py CLIPS_DIR [--clips 2000] [--workers 2]

The folder's clips are listed again under new ids until there are enough. Every 100 clips the
resident megabytes of this process and of its workers are printed. Workers are not recycled, so a
leak would show.
"""

# No import of torch at the top: spawned workers import this file, and must stay without torch.
from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from decode import HOME, decode_settings, describe_machine

from pipeline.core.params import load
from pipeline.core.workers import measure_resident

EVERY = 100


def main() -> None:
    """Decode, and print memory every 100 clips and its growth over the last three quarters."""

    import torch

    from pipeline.datasets.adapters._tree import clip_of, list_media
    from pipeline.shards.decode import decode_all
    from pipeline.shards.engines.local import Engine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips_dir", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    first = [clip_of(path, "x", "clip", "train") for path in list_media(args.clips_dir)]
    clips = [
        replace(clip, clip_id=f"{i:06d}") for i, clip in enumerate(islice(cycle(first), args.clips))
    ]
    # Many shards, so that samples do not pile up in the parent, which would look like a leak.
    params = replace(
        decode_settings(load(HOME / "params.yaml")), recycle=10**9, shards=max(args.clips // 20, 1)
    )
    rows: list[tuple[float, float]] = []

    def record_memory(done: int, total: int, **figures: float) -> None:
        workers = [
            measure_resident(process.pid or 0) for process in multiprocessing.active_children()
        ]
        if done % EVERY == 0 and any(workers):  # after the last clip there are none
            rows.append((measure_resident(), sum(workers) / max(len(workers), 1)))
            print(f"| {done} | {rows[-1][0]:.0f} | {rows[-1][1]:.0f} |", flush=True)

    print(f"{describe_machine()}\n\n| clips | parent, MB | worker, MB (mean) |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as out:
        decode_all(clips, Path(out) / "shards", params, Engine(workers=args.workers), record_memory)
    early, late = rows[len(rows) // 4], rows[-1]
    print(
        f"\nfrom a quarter to the end: parent {late[0] - early[0]:+.0f} MB, "
        f"worker {late[1] - early[1]:+.0f} MB"
    )


if __name__ == "__main__":
    main()
