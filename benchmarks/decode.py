"""Measure windows per second of `avdistill decode`, beside plain ffmpeg.

    python benchmarks/decode.py CLIPS_DIR [--clips N] [--rounds R]

CLIPS_DIR is any folder of videos, or the word `generated`. Our side is `avdistill decode` with one
worker: one frame and one log-mel per second, in tar shards with digests and the ledger. ffmpeg
decodes the same clips, one single-threaded process each, to one raw frame of the same size per
second and to mono PCM of the same rate: no log-mel, no tar, no ledger. The two alternate on the
same clips, after a round that does not count. A window is one second of a clip that our side wrote.
"""

# No import of torch at the top: spawned workers import this file, and must stay without torch.
from __future__ import annotations

import argparse
import importlib
import os
import pickle
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import media
from pipeline.core import workers as pool
from pipeline.core.errors import PipelineError
from pipeline.core.params import Params, load

if TYPE_CHECKING:
    from pipeline.core.records import Clip
    from pipeline.shards.settings import DecodeSettings

HOME = Path(__file__).resolve().parents[1]
FFMPEG = ("ffmpeg", "-nostdin", "-y", "-loglevel", "error")
FFMPEG += ("-threads", "1", "-filter_threads", "1")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of a piece of work.

    Args:
        wall: wall seconds.
        own: CPU seconds of this process.
        children: CPU seconds of the processes that it started and that have ended.
    """

    wall: float
    own: float
    children: float

    @classmethod
    def now(cls) -> Cost:
        """Return the seconds spent since the start of the process."""
        own, children = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return cls(
            wall=time.perf_counter(),
            own=own.ru_utime + own.ru_stime,
            children=children.ru_utime + children.ru_stime,
        )

    @property
    def cpu(self) -> float:
        return self.own + self.children

    def __sub__(self, before: Cost) -> Cost:
        return Cost(
            wall=self.wall - before.wall,
            own=self.own - before.own,
            children=self.children - before.children,
        )


def main() -> None:
    """Measure both sides, and print the pairs, their median and the profile."""
    args = parse_arguments()
    if shutil.which("ffmpeg") is None:
        sys.exit(
            "ffmpeg is not on the path; on Debian or Ubuntu get it with "
            "`apt-get update && apt-get install -y ffmpeg`"
        )
    print(describe_machine())
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        try:
            params = load(args.params_file)
            clips, settings = choose_clips(args, params, Path(scratch)), decode_settings(params)
            windows = compare(clips, settings, args.rounds, Path(scratch))
            print_profile(clips, settings, windows, Path(scratch))
        except PipelineError as error:
            sys.exit(str(error))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips_dir", help="a folder of videos, or `generated`")
    parser.add_argument(
        "--clips", type=int, default=40, help="number of clips, evenly spread over the folder"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--params-file", type=Path, default=HOME / "params.yaml")
    parser.add_argument(
        "--scratch", type=Path, help="output folder; by default the system's temporary folder"
    )
    return parser.parse_args()


def describe_machine() -> str:
    """Describe processor, cores and versions on one line."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [
        line.split(":", 1)[1].strip()
        for line in cpuinfo.splitlines()
        if line.startswith("model name")
    ]
    ffmpeg = subprocess.run(
        ["ffmpeg", "-version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    parts = [f"{name} {version(name)}" for name in ("av", "decord2", "torch")]
    return ", ".join(
        [
            models[0] if models else platform.machine(),
            f"{os.cpu_count()} cores",
            *parts,
            f"ffmpeg {ffmpeg}",
        ]
    )


def decode_settings(params: Params) -> DecodeSettings:
    """Return the params file's settings without a limit on rejects: what decodes is measured."""
    from pipeline.shards.settings import DecodeSettings

    return replace(params.build("decode", DecodeSettings), max_reject_fraction=1.0)


def choose_clips(args: argparse.Namespace, params: Params, scratch: Path) -> list[Clip]:
    """Return manifest rows of the clips to decode, all of the split train."""
    from pipeline.datasets.adapters._tree import clip_of, list_media

    root = (
        generate_clips(args.clips, params, scratch)
        if args.clips_dir == "generated"
        else Path(args.clips_dir)
    )
    files = list_media(root)
    selected = files[:: max(len(files) // args.clips, 1)][: args.clips]
    return [clip_of(path, f"{number:05d}", "clip", "train") for number, path in enumerate(selected)]


def generate_clips(count: int, params: Params, scratch: Path) -> Path:
    """Write about `count` clips of the generated dataset, and return their folder."""
    from pipeline.datasets.adapters.generated import EVENTS, Dataset

    dataset = params.build("ingest.generated", Dataset, without=["adapter"])
    root = scratch / "media"
    replace(dataset, train=-(-count // len(EVENTS)), val=0, test=0).clips(root)
    return root


def compare(clips: list[Clip], settings: DecodeSettings, rounds: int, scratch: Path) -> int:
    """Run both sides in turn, print each pair, and return the number of windows."""
    # The first run fills the file cache and does the late imports.
    windows, _ = time_ours(clips, settings, scratch)
    time_ffmpeg(clips, settings, scratch)
    print(f"{len(clips)} clips, {windows} windows, one worker\n")
    print(
        "| pair | line | windows per CPU s | windows per wall s | parent's share | ratio CPU "
        "| ratio wall |\n|---|---|---|---|---|---|---|"
    )
    ratios = []
    for pair in range(1, rounds + 1):
        (_, a), b = time_ours(clips, settings, scratch), time_ffmpeg(clips, settings, scratch)
        cpu, wall = b.cpu / a.cpu, b.wall / a.wall
        ratios.append((cpu, wall))
        rates = f"{windows / a.cpu:.1f} | {windows / a.wall:.1f} | {a.own / a.cpu:.0%}"
        print(f"| {pair} | ours | {rates} | {cpu:.2f} | {wall:.2f} |")
        print(
            f"| {pair} | ffmpeg | {windows / b.cpu:.1f} | {windows / b.wall:.1f} | | | |",
            flush=True,
        )
    cpu, wall = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"\nours / ffmpeg in windows, median of {rounds} pairs: {cpu:.2f} per CPU second, "
        f"{wall:.2f} per wall second\n"
    )
    return windows


def time_ours(clips: list[Clip], settings: DecodeSettings, scratch: Path) -> tuple[int, Cost]:
    """Return (windows written, cost) of `avdistill decode`, including its worker's start."""
    import torch

    from pipeline.shards.decode import decode_all
    from pipeline.shards.engines.local import Engine as Local

    torch.set_num_threads(1)  # as stages/decode.py does
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        before = Cost.now()
        counts = decode_all(
            clips, Path(out) / "shards", settings, Local(workers=1), lambda *_, **__: None
        )
        cost = Cost.now() - before
    if counts["clips"]["failed"] or counts["windows"]["failed"]:
        print(
            f"rejected: {counts['reasons']}; ffmpeg is credited with our windows only",
            file=sys.stderr,
        )
    return counts["windows"]["ok"], cost


def time_ffmpeg(clips: list[Clip], settings: DecodeSettings, scratch: Path) -> Cost:
    """Return the cost of ffmpeg on the same clips."""
    picture, rate = settings.frame, settings.logmel.rate
    scale = f"fps=1,scale={picture.width}:{picture.height}"
    picture_options = f"-map 0:v:0 -vf {scale} -pix_fmt rgb24 -threads 1 -f rawvideo".split()
    sound_options = f"-map 0:a:0 -ac 1 -ar {rate} -threads 1 -f s16le".split()
    before = Cost.now()
    for clip in clips:
        command = [*FFMPEG, "-i", clip.path, *picture_options, str(scratch / "frames.rgb")]
        command += [*sound_options, str(scratch / "sound.pcm")]
        # A clip that it refuses has its cost too.
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    return Cost.now() - before


class Clock:
    """Adds up the CPU seconds of this process by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = Counter()
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.laps[name] += now - self._last  # type: ignore[assignment]  # typed for integers
        self._last = now


@dataclass(frozen=True, kw_only=True)
class TimedDecoder:
    """`media.decode` in a worker, with the CPU seconds of each step.

    Args:
        tracks: modality -> its track.
        backends: decoders, in order.
    """

    tracks: dict[str, media.Track]
    backends: tuple[str, ...]

    def __call__(self, clip: Clip) -> tuple[list[media.Second], Counter[str]]:
        clock = Clock()
        importlib.import_module("decord")  # a cost of the worker's first clip
        clock.lap("worker: import decord")
        media.probe(clip.path)
        clock.lap("worker: probe")
        for modality, track in self.tracks.items():
            media.decode(clip, {modality: track}, self.backends)
            clock.lap(f"worker: {modality}")
        seconds = media.decode(clip, self.tracks, self.backends)
        clock.lap("twice")
        pickle.dumps(seconds)
        clock.lap("worker: pickle")
        return seconds, clock.laps


def print_profile(clips: list[Clip], settings: DecodeSettings, windows: int, scratch: Path) -> None:
    """Run the steps of `avdistill decode` one by one, and print the CPU time of each."""
    before = Cost.now()
    list(pool.work(abs, [-1], workers=1, deadline_s=60.0, memory_mb=4096, recycle=1))
    rows = Counter({"worker: start": (Cost.now() - before).children})
    decoder = TimedDecoder(tracks=settings.tracks, backends=settings.backends)
    limits = {
        "deadline_s": 10 * settings.deadline_s,
        "memory_mb": settings.memory_mb,
        "recycle": settings.recycle,
    }
    results = pool.work(decoder, clips, workers=1, **limits)
    good = [(clip, *result) for clip, result in results if isinstance(result, tuple)]
    for _, _, laps in good:
        rows.update(laps)
    del rows["twice"]
    for modality in settings.tracks:
        # Each modality was decoded alone, and so probed once more.
        rows[f"worker: {modality}"] -= rows["worker: probe"]
    rows.update(time_parent([(clip, seconds) for clip, seconds, _ in good], settings, scratch))
    total = sum(rows.values())
    print("| step | CPU ms per window | share |\n|---|---|---|")
    for name, spent in sorted(rows.items(), key=lambda row: (row[0].startswith("parent"), -row[1])):
        print(f"| {name} | {1000 * spent / windows:.3f} | {spent / total:.0%} |")
    print(f"| sum | {1000 * total / windows:.3f} | |")


def time_parent(
    results: list[tuple[Clip, list[media.Second]]], settings: DecodeSettings, scratch: Path
) -> Counter[str]:
    """Return the CPU seconds of this process's work on the workers' results."""
    from pipeline.shards.outcomes import make_outcome
    from pipeline.shards.write import write_shard

    folder = scratch / "profile"
    folder.mkdir()
    pickled = [pickle.dumps(seconds) for _, seconds in results]
    clock = Clock()
    for seconds in pickled:
        pickle.loads(seconds)
    clock.lap("parent: unpickle")
    samples = [
        sample
        for clip, seconds in results
        for sample in make_outcome(clip, "", seconds, settings).samples
    ]
    clock.lap("parent: log-mel, ledger")
    write_shard(folder, "shard-00000", "", samples, [])
    clock.lap("parent: tar, moments, digest")
    return clock.laps


if __name__ == "__main__":
    main()
