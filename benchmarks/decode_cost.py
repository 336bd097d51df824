"""Measure CPU seconds per ten-second clip, for decoding at the published size.

    python benchmarks/decode_cost.py CLIPS_DIR [--clips N] [--rounds R] [--height 360]

Clips of the folder are looped to ten seconds, scaled to 16:9 of that height and encoded again
(H.264 + AAC), so that they resemble downloads. Four sides alternate on the same clips, each on one
thread:

- ours: `avdistill decode` with one worker and the preset vggsound for every second, shards and
  ledger included;
- full: one ffmpeg process per clip that decodes all of it, at the same size and rate, and discards
  it;
- published: as AVDD's preprocessing: an ffmpeg process per second for frames, one per clip for
  sound, then torchaudio;
- two: ours with two workers, for the speed-up.
"""

# No import of torch at the top: spawned workers import this file, and must stay without torch.
from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import wave
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decode import FFMPEG, HOME, Cost, describe_machine

from pipeline.core.params import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.core.records import Clip
    from pipeline.shards.settings import DecodeSettings

SECONDS, SIDE, RATE = 10, 224, 11000


# Name -> the sides that it needs, and the ratio of their costs
RATIOS: dict[str, tuple[set[str], Callable[[dict[str, Cost]], float]]] = {
    "ours / full, CPU": ({"ours", "full"}, lambda c: c["ours"].cpu / c["full"].cpu),
    "published / ours, CPU": ({"ours", "published"}, lambda c: c["published"].cpu / c["ours"].cpu),
    "parent's share of ours": ({"ours"}, lambda c: c["ours"].own / c["ours"].cpu),
    "speed-up from one worker to two, wall": (
        {"ours", "two"},
        lambda c: c["ours"].wall / c["two"].wall,
    ),
}


def main() -> None:
    """Measure all sides, and print seconds per clip of each round and the medians of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips_dir", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--sides", nargs="+", default=["ours", "full", "published", "two"])
    args = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_clips(args.clips_dir, args.clips, args.height, Path(scratch) / "media")
        compare(clips, read_settings(), args, Path(scratch))


def read_settings() -> DecodeSettings:
    """Return the settings of the preset vggsound for every second, without a limit on rejects."""
    from pipeline.shards.settings import DecodeSettings

    return replace(
        load(HOME / "presets" / "vggsound.yaml").build("decode", DecodeSettings),
        max_reject_fraction=1.0,
        shards=4,
    )


def make_clips(source: Path, count: int, height: int, folder: Path) -> list[Clip]:
    """Write clips of ten seconds, and return their manifest rows."""
    from pipeline.datasets.adapters._tree import clip_of, list_media

    folder.mkdir(parents=True)
    files = list_media(source)
    rows = []
    for number, path in enumerate(files[:: max(len(files) // count, 1)][:count]):
        target = folder / f"{number:04d}.mp4"
        shape = f"scale={height * 16 // 9 // 2 * 2}:{height},fps=25"
        encoder = ["-c:v", "libx264", "-preset", "medium", "-crf", "23"]
        encoder += ["-c:a", "aac", "-ar", "44100"]
        options = ["-t", str(SECONDS), "-vf", shape, *encoder, str(target)]
        subprocess.run([*FFMPEG, "-stream_loop", "-1", "-i", str(path), *options], check=True)
        rows.append(clip_of(target, target.stem, "clip", "train"))
    return rows


def compare(
    clips: list[Clip], params: DecodeSettings, args: argparse.Namespace, scratch: Path
) -> None:
    """Run the sides in turn, and print each round and the medians of ratios."""
    functions = {
        "ours": lambda: time_ours(clips, params, scratch, 1),
        "full": lambda: time_full_decode(clips),
        "published": lambda: time_published(clips, scratch),
        "two": lambda: time_ours(clips, params, scratch, 2),
    }
    sides = {name: functions[name] for name in args.sides}
    print(
        f"{len(clips)} clips of {SECONDS} s, "
        f"{sum(c.bytes for c in clips) / len(clips) / 1e3:.0f} kB each, {SIDE} x {SIDE}\n"
    )
    print(
        "| round | side | CPU s per clip | wall s per clip | parent's share |\n"
        "|---|---|---|---|---|"
    )
    rows = []
    for number in range(args.rounds + 1):  # the first fills caches and is not counted
        costs = {name: side() for name, side in sides.items()}
        for name, cost in costs.items() if number else ():
            share = f"{cost.own / cost.cpu:.0%}" if name in ("ours", "two") else ""
            each = f"{cost.cpu / len(clips):.3f} | {cost.wall / len(clips):.3f}"
            print(f"| {number} | {name} | {each} | {share} |", flush=True)
        rows.append(costs)
    print()
    for name, (needed, ratio) in RATIOS.items():
        if needed <= sides.keys():
            median = statistics.median(map(ratio, rows[1:]))
            print(f"{name}: {median:.2f} (median of {args.rounds})")


def time_ours(clips: list[Clip], params: DecodeSettings, scratch: Path, workers: int) -> Cost:
    """Return the cost of `avdistill decode`, including its workers' start."""
    import torch

    from pipeline.shards.decode import decode_all
    from pipeline.shards.engines.local import Engine

    torch.set_num_threads(1)  # as stages/decode.py does
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        before = Cost.now()
        counts = decode_all(
            clips, Path(out) / "shards", params, Engine(workers=workers), lambda *_, **__: None
        )
        cost = Cost.now() - before
    if counts["windows"]["ok"] != SECONDS * len(clips):
        sys.exit(f"not all windows were decoded: {counts}")
    return cost


def time_full_decode(clips: list[Clip]) -> Cost:
    """Return the cost of one full decode, at the same size and rate."""
    before = Cost.now()
    for clip in clips:
        picture = f"-map 0:v:0 -vf scale={SIDE}:{SIDE} -pix_fmt rgb24 -f rawvideo /dev/null"
        sound = f"-map 0:a:0 -ac 1 -ar {RATE} -f s16le /dev/null"
        subprocess.run([*FFMPEG, "-i", clip.path, *picture.split(), *sound.split()], check=True)
    return Cost.now() - before


def time_published(clips: list[Clip], scratch: Path) -> Cost:
    """Return the cost of the published preprocessing.

    It has a process per second for eight frames, of which it keeps one, a process per clip for
    sound, and log-mels by torchaudio.
    """
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    mel, decibels = MelSpectrogram(RATE), AmplitudeToDB()
    torch.set_num_threads(1)
    before = Cost.now()
    for clip in clips:
        sound, target = scratch / "sound.wav", scratch / "second_%02d.jpg"
        options = ["-vn", "-ac", "1", "-ar", str(RATE), str(sound)]
        subprocess.run([*FFMPEG, "-i", clip.path, *options], check=True)
        with wave.open(str(sound)) as stream:
            content = bytearray(stream.readframes(stream.getnframes()))
        samples = torch.frombuffer(content, dtype=torch.int16).float() / 32768
        for second in range(SECONDS):
            cut = ["-ss", str(second), "-t", "1", "-i", clip.path]
            scale = ["-vf", f"fps=8,scale={SIDE}:{SIDE}", str(target)]
            subprocess.run([*FFMPEG, *cut, *scale], check=True)
            piece = samples[second * RATE : (second + 1) * RATE]
            decibels(mel(torch.nn.functional.pad(piece, (0, RATE - len(piece)))))
    return Cost.now() - before


if __name__ == "__main__":
    main()
