"""Measure zero-shot, prototypes and their bounds, from media and weights to the table.

    python benchmarks/prototypes.py ADAPTER MEDIA OUT [--model laion/clap-htsat-fused] \\
        [--revision main] [--set KEY=VALUE ...]

It runs ingest, decode, extract and extract-text with CLAP, then prototypes, and prints every line.
Files in OUT are not made again, so an interrupted run goes on. ADAPTER is esc50, urbansound8k or
fsd50k. See docs/guide/prototypes.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from pipeline.core.records import SPLITS

# Some recordings officially lie in two folds, which `prototypes` refuses elsewhere. FSD50K: fewer
# resamples, since its average is slow.
OFFICIAL = {
    "esc50": ["prototypes.shared_groups=4"],
    "urbansound8k": ["prototypes.shared_groups=5"],
    "fsd50k": ["prototypes.bootstrap=100"],
}


def list_commands(adapter: str, media: Path, out: Path) -> list[tuple[Path, list[str]]]:
    """Return (output, arguments of the command that writes it), in order."""
    manifest, shards, clap, text = (
        out / "manifest.csv",
        out / "shards",
        out / "clap",
        out / "text.h5",
    )
    embed = ["--extractor", "clap"]
    return [
        (manifest, ["ingest", adapter, "--root", str(media), "--out", str(manifest)]),
        (shards, ["decode", str(manifest), str(shards)]),
        *(
            (clap / f"{s}.h5", ["extract", str(shards / s), str(clap / f"{s}.h5"), *embed])
            for s in SPLITS
        ),
        (text, ["extract-text", str(manifest), str(text), *embed]),
        (
            out / "prototypes.json",
            [
                "prototypes",
                str(manifest),
                str(clap),
                str(out / "prototypes.json"),
                "--text",
                str(text),
            ],
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", choices=OFFICIAL)
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--model", default="laion/clap-htsat-fused", help="a name on the hub, or a local folder"
    )
    parser.add_argument("--revision", default="main", help="pin the one that you used")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a change of params.yaml"
    )
    args = parser.parse_args()
    base_changes = [
        f"extract.clap.model={args.model}",
        f"extract.clap.revision={args.revision}",
        "decode.modalities=[wave]",
    ]
    changes = [
        word
        for change in (*base_changes, *OFFICIAL[args.adapter], *args.set)
        for word in ("--set", change)
    ]
    for output, command in list_commands(args.adapter, args.media, args.out):
        if not output.exists():
            print("$ avdistill", *command, flush=True)
            if code := subprocess.run(
                [sys.executable, "-m", "stages", *changes, *command], check=False
            ).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
