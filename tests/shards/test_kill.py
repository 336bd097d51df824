"""Decoding, killed at random moments as on a cluster, resumes and ends in the same bytes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.records import Clip
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
from pipeline.training.loop import ignore_progress
from tests.toys.decoding import DECODE, digests
from tests.toys.project import ROOT

# A process that has loaded everything forks a child per try. It kills the child after a random
# time, and the parent of its workers with it.
KILLS = 20
KILLED = """
import os, pickle, random, signal, sys, time
from pathlib import Path
clips, params, out, kills = pickle.loads(sys.stdin.buffer.read())
from pipeline.shards.decode import decode_all
from pipeline.shards.engines.local import Engine as Local
chance, killed = random.Random(0), 0
while killed < kills:
    child = os.fork()
    if not child:
        decode_all(clips, Path(out), params, Local(workers=2), lambda *_, **__: None)
        os._exit(0)
    time.sleep(chance.uniform(0.2, 1.4))
    os.kill(child, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    if (Path(out) / "test" / "index.json").exists():  # done already: begin again
        for path in sorted(Path(out).rglob("*.*")):
            path.unlink()
"""


def test_twenty_kills_change_no_byte(clips: list[Clip], shards: Path, tmp_path: Path) -> None:
    given = pickle.dumps((clips, DECODE, str(tmp_path / "shards"), KILLS))
    subprocess.run([sys.executable, "-c", KILLED], input=given, cwd=ROOT, check=True)
    decode_all(clips, tmp_path / "shards", DECODE, Local(workers=2), ignore_progress)
    assert digests(tmp_path / "shards") == digests(shards)


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_and_order_change_no_byte(
    workers: int, clips: list[Clip], shards: Path, tmp_path: Path
) -> None:
    decode_all(
        clips[1::2] + clips[::2],
        tmp_path / "shards",
        DECODE,
        Local(workers=workers),
        ignore_progress,
    )
    assert digests(tmp_path / "shards") == digests(shards)
