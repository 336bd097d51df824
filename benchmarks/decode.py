"""Windows a second of `avdistill decode`, beside plain ffmpeg.

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


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds: wall, CPU of this process, CPU of the processes that it started and saw end."""

    wall: float
    own: float
    children: float

    @classmethod
    def now(cls) -> Cost:
        """What was spent so far."""
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
    """Measure, and print the pairs, their median and the profile."""
    given = arguments()
    if shutil.which("ffmpeg") is None:
        sys.exit(
            "ffmpeg is not on the path; on Debian or Ubuntu get it with "
            "`apt-get update && apt-get install -y ffmpeg`"
        )
    print(machine())
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        try:
            params = load(given.params_file)
            clips, settings = chosen(given, params, Path(scratch)), decode_settings(params)
            windows = compare(clips, settings, given.rounds, Path(scratch))
            profile(clips, settings, windows, Path(scratch))
        except PipelineError as error:
            sys.exit(str(error))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips_dir", help="a folder of videos, or `generated`")
    parser.add_argument(
        "--clips", type=int, default=40, help="so many of them, evenly spread over the folder"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--params-file", type=Path, default=HOME / "params.yaml")
    parser.add_argument(
        "--scratch", type=Path, help="where to write; default: the system's temporary folder"
    )
    return parser.parse_args()


def machine() -> str:
    """One line: processor, cores, versions."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [
        line.split(":", 1)[1].strip() for line in told.splitlines() if line.startswith("model name")
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


def chosen(given: argparse.Namespace, params: Params, scratch: Path) -> list[Clip]:
    """Manifest rows of the clips to decode, all as train."""
    from pipeline.datasets.adapters._tree import clip_of, list_media

    root = (
        generated(given.clips, params, scratch)
        if given.clips_dir == "generated"
        else Path(given.clips_dir)
    )
    files = list_media(root)
    spread = files[:: max(len(files) // given.clips, 1)][: given.clips]
    return [clip_of(path, f"{number:05d}", "clip", "train") for number, path in enumerate(spread)]


def generated(count: int, params: Params, scratch: Path) -> Path:
    """About `count` clips of the generated dataset, drawn as the params file says."""
    from pipeline.datasets.adapters.generated import EVENTS, Dataset

    dataset = params.build("ingest.generated", Dataset, without=["adapter"])
    root = scratch / "media"
    replace(dataset, train=-(-count // len(EVENTS)), val=0, test=0).clips(root)
    return root


def compare(clips: list[Clip], settings: DecodeSettings, rounds: int, scratch: Path) -> int:
    """Both lines in turn on the same clips; print each pair, return the number of windows."""
    windows, _ = ours(
        clips, settings, scratch
    )  # also: fills the file cache and imports what is imported late
    plain(clips, settings, scratch)
    print(f"{len(clips)} clips, {windows} windows, one worker\n")
    columns = (
        "pair",
        "line",
        "windows per CPU s",
        "windows per wall s",
        "parent's share",
        "ratio CPU",
        "ratio wall",
    )
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    ratios = []
    for pair in range(1, rounds + 1):
        (_, a), b = ours(clips, settings, scratch), plain(clips, settings, scratch)
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


def ours(clips: list[Clip], settings: DecodeSettings, scratch: Path) -> tuple[int, Cost]:
    """(windows written, cost) of the whole line, its worker's start included."""
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
            f"rejected: {counts['reasons']}; ffmpeg is credited with the windows of our line only",
            file=sys.stderr,
        )
    return counts["windows"]["ok"], cost


def plain(clips: list[Clip], settings: DecodeSettings, scratch: Path) -> Cost:
    """Cost of ffmpeg on the same clips."""
    picture, rate = settings.frame, settings.logmel.rate
    shown = [
        "-map",
        "0:v:0",
        "-vf",
        f"fps=1,scale={picture.width}:{picture.height}",
        "-pix_fmt",
        "rgb24",
        "-threads",
        "1",
    ]
    heard = ["-map", "0:a:0", "-ac", "1", "-ar", str(rate), "-threads", "1"]
    before = Cost.now()
    for clip in clips:
        command = [
            "ffmpeg",
            "-nostdin",
            "-y",
            "-loglevel",
            "error",
            "-filter_threads",
            "1",
            "-threads",
            "1",
            "-i",
            clip.path,
        ]
        command += [
            *shown,
            "-f",
            "rawvideo",
            str(scratch / "frames.rgb"),
            *heard,
            "-f",
            "s16le",
            str(scratch / "sound.pcm"),
        ]
        subprocess.run(
            command, check=False, stderr=subprocess.DEVNULL
        )  # a clip that it refuses still cost its time
    return Cost.now() - before


class Clock:
    """CPU seconds of this process by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = Counter()
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.laps[name] += now - self._last  # type: ignore[assignment]  # typed for integers
        self._last = now


@dataclass(frozen=True, kw_only=True)
class Timed:
    """`media.decode` in a worker, with the CPU seconds of each step there."""

    tracks: dict[str, media.Track]
    backends: tuple[str, ...]

    def __call__(self, clip: Clip) -> tuple[list[media.Second], Counter[str]]:
        clock = Clock()
        importlib.import_module("decord")  # the worker's first clip pays for it
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


def profile(clips: list[Clip], settings: DecodeSettings, windows: int, scratch: Path) -> None:
    """Take the line apart, step by step on the same clips, and print where its CPU time goes."""
    before = Cost.now()
    list(pool.work(abs, [-1], workers=1, deadline_s=60.0, memory_mb=4096, recycle=1))
    rows = Counter({"worker: start": (Cost.now() - before).children})
    timed = Timed(tracks=settings.tracks, backends=settings.backends)
    limits = {
        "deadline_s": 10 * settings.deadline_s,
        "memory_mb": settings.memory_mb,
        "recycle": settings.recycle,
    }
    answers = pool.work(timed, clips, workers=1, **limits)
    good = [(clip, *result) for clip, result in answers if isinstance(result, tuple)]
    for _, _, laps in good:
        rows.update(laps)
    del rows["twice"]
    for modality in settings.tracks:
        rows[f"worker: {modality}"] -= rows[
            "worker: probe"
        ]  # each was decoded alone, and so probed once more
    rows.update(parent([(clip, seconds) for clip, seconds, _ in good], settings, scratch))
    total = sum(rows.values())
    print("| step | CPU ms per window | share |\n|---|---|---|")
    for name, spent in sorted(rows.items(), key=lambda row: (row[0].startswith("parent"), -row[1])):
        print(f"| {name} | {1000 * spent / windows:.3f} | {spent / total:.0%} |")
    print(f"| sum | {1000 * total / windows:.3f} | |")


def parent(
    answers: list[tuple[Clip, list[media.Second]]], settings: DecodeSettings, scratch: Path
) -> Counter[str]:
    """CPU seconds of what this process does with the workers' answers."""
    from pipeline.shards.outcomes import make_outcome
    from pipeline.shards.write import write_shard

    folder = scratch / "profile"
    folder.mkdir()
    sent = [pickle.dumps(seconds) for _, seconds in answers]
    clock = Clock()
    for seconds in sent:
        pickle.loads(seconds)
    clock.lap("parent: unpickle")
    samples = [
        sample
        for clip, seconds in answers
        for sample in make_outcome(clip, "", seconds, settings).samples
    ]
    clock.lap("parent: log-mel, ledger")
    write_shard(folder, "shard-00000", "", samples, [])
    clock.lap("parent: tar, moments, digest")
    return clock.laps


if __name__ == "__main__":
    main()
