"""Signals that end a command: one line, no process and no half file left, and it can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.core.errors import EchoError
from pipeline.core.records import Clip
from pipeline.datasets.manifest import write_manifest
from stages import cli
from stages._runtime import Interruption, exit_code_of, raise_signals
from tests.toys.project import ROOT


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that leads a group of processes, none of which may be left at the end."""
    command = [sys.executable, "-m", "stages", *map(str, arguments), "--quiet"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    assert wait_until(lambda: not running(process.pid)), running(process.pid)


def wait_until(reached: Callable[[], object], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while not reached() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(reached())


def running(group: int) -> list[str]:
    """The processes of a group, without those that only wait to be collected."""
    texts = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        state, _, number = text.rsplit(")", 1)[1].split()[:3]
        texts += [text] * (int(number) == group and state != "Z")
    return texts


@pytest.fixture
def long_manifest(clips: list[Clip], tmp_path: Path) -> Path:
    """So many clips that decoding cannot be over before a signal comes."""
    many = [replace(clip, clip_id=f"{clip.clip_id}-{i}") for clip in clips for i in range(8)]
    write_manifest(tmp_path / "manifest.csv", sorted(many, key=lambda clip: clip.clip_id))
    return tmp_path / "manifest.csv"


# The second moment is in the start of the workers, whose imports take a while.
@pytest.mark.parametrize(
    ("number", "whole_group", "delay_s"),
    [
        (signal.SIGINT, True, 0.0),
        pytest.param(signal.SIGINT, True, 0.15, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, 0.3, marks=pytest.mark.slow),
        (signal.SIGTERM, False, 0.0),
        pytest.param(signal.SIGHUP, True, 0.0, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_decoding_with_one_line(
    number: int, whole_group: bool, delay_s: float, long_manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    with started("decode", long_manifest, out) as process:
        assert wait_until(out.is_dir)
        time.sleep(delay_s)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (128 + number, f"error: {cli.INTERRUPTED}\n")
    assert not [*tmp_path.rglob("*.part"), *tmp_path.rglob(".*.lock")]


def test_more_signals_do_not_disturb_the_first(long_manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    with started("decode", long_manifest, out) as process:
        assert wait_until(lambda: list(out.rglob("shard-*.tar")))
        for _ in range(3):
            os.killpg(process.pid, signal.SIGTERM)
            time.sleep(0.002)
        _, message = process.communicate(timeout=60)
    # A signal that comes after the line ends the process at once.
    assert process.returncode in (143, -signal.SIGTERM)
    assert message == f"error: {cli.INTERRUPTED}\n"


def test_an_interrupt_while_commands_are_imported_prints_nothing() -> None:
    with started("doctor") as process:
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=60)
    assert "Traceback" not in message and message.count("\n") <= 1


def test_workers_end_when_their_parent_is_killed(long_manifest: Path, tmp_path: Path) -> None:
    with started("decode", long_manifest, tmp_path / "shards") as process:
        assert wait_until(lambda: list(tmp_path.rglob("shard-*.tar")))
        process.kill()
        _, message = process.communicate(timeout=60)
    assert message == ""


def test_a_swallowed_interrupt_is_raised_again() -> None:
    with raise_signals() as received:
        with suppress(Interruption):  # as a finaliser of a library does
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interruption):
            time.sleep(10)
    assert received == [signal.SIGTERM]


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with raise_signals() as received:
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert received == []


def test_an_error_of_an_interrupted_import_is_the_interrupt() -> None:
    assert exit_code_of(ImportError("half loaded"), [signal.SIGTERM]) == 143
    assert exit_code_of(KeyboardInterrupt(), []) == 130
    assert exit_code_of(ImportError("missing"), []) is None
    assert exit_code_of(EchoError("another rank failed first"), [signal.SIGTERM]) is None


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m stages doctor --device cpu | head -n 1"
    result = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (result.stdout.count("\n"), result.stderr) == (1, "")


@pytest.mark.parametrize("workers", ["0", "-1", "100000", "many"])
def test_a_number_of_workers_out_of_range_is_refused(workers: str) -> None:
    given = ["decode", "manifest.csv", "shards", "--workers", workers]
    result = CliRunner().invoke(cli.app, given, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    message = " ".join(result.output.split())
    assert "Invalid value for '--workers'" in message and "Input should be" in message
