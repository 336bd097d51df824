"""Locks: a file system without them, files that are open elsewhere, and files that are not ours."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.artifact import read_artifact, write_artifact
from pipeline.artifact.inspection import verify_files
from pipeline.core import files
from pipeline.core.errors import TableError
from pipeline.core.hdf5 import read_table, write_table
from tests.toys.artifacts import FULL, toy_synthetic
from tests.toys.project import ROOT

# NFS without lockd, Lustre without -o flock, FUSE, an odd mount, and the kernel's own ENOTSUPP.
REFUSALS = [37, 38, 95, 22, 524]
SHIM = "#include <errno.h>\n#include <stdlib.h>\n"
SHIM += 'int flock(int file, int how) { errno = atoi(getenv("REFUSAL")); return -1; }\n'


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.h5"
    write_table(path, {"x": np.arange(3)}, {"about": "three"})
    return path


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose flock fails, as HDF5 calls it."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "flock.c").write_text(SHIM)
    command = ["cc", "-shared", "-fPIC", "-o", str(folder / "flock.so"), str(folder / "flock.c")]
    subprocess.run(command, check=True)
    return folder / "flock.so"


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_output_is_written_without_locks_and_it_is_said_once(
    refusal: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(files, "_UNLOCKED", set())
    for name in ("a", "b"):
        with files.lock_output(tmp_path / name / "out"):
            pass
    assert caplog.messages == [
        f"{tmp_path / 'a'} is on a file system without locks; start no second run on it meanwhile"
    ]


def without_locks(shim: Path, refusal: int, code: str, *arguments: Path) -> Any:
    return subprocess.run(
        [sys.executable, *code.split(), *map(str, arguments)],
        env={**os.environ, "LD_PRELOAD": str(shim), "REFUSAL": str(refusal)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_good_file_is_intact_where_there_are_no_locks(
    refusal: int, shim: Path, tmp_path: Path
) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    result = without_locks(shim, refusal, "-m stages verify", tmp_path)
    assert (result.returncode, "intact" in result.stdout) == (0, True), result.stderr
    assert result.stderr.splitlines() == [
        f"{tmp_path} is on a file system without locks; start no second run on it meanwhile"
    ]


@pytest.mark.parametrize("command", ["inspect", "diff"])
def test_commands_read_where_there_are_no_locks(command: str, shim: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    write_artifact(one, toy_synthetic(), FULL)
    shutil.copy(one, two)
    given = [one, two][: 1 + (command == "diff")]
    result = without_locks(shim, 37, f"-m stages {command}", *given)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("without locks") == 1


def test_a_file_that_is_open_for_writing_is_not_called_damaged(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    with h5py.File(tmp_path / "seed0.h5", "r+"):
        ((_, findings),) = verify_files([tmp_path / "seed0.h5"])
    assert [finding.text for finding in findings] == [
        f"{tmp_path / 'seed0.h5'} is open for writing in another process; "
        "wait for it, then run this again"
    ]
    assert read_artifact(tmp_path / "seed0.h5").about["format"]


def test_a_file_whose_writer_was_killed_says_how_to_unmark_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "open.h5", "w", libver="latest") as file:
        file["x"] = [1]
        file.flush()
        shutil.copy(tmp_path / "open.h5", tmp_path / "left.h5")
    with pytest.raises(TableError, match=r"its writer was killed; .* `h5clear -s .*left\.h5`"):
        read_table(tmp_path / "left.h5")


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Unable to open file (errno = 13)")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(TableError, match=r"cannot be read \(Permission denied\)"):
        read_table(table)
