"""Users as containers have them: no entry in passwd, no home, no temporary folder."""

from __future__ import annotations

import getpass
import logging
import os
import pwd
import subprocess
import sys
import tempfile

import numba
import pytest

from pipeline.core.errors import ParamsError
from pipeline.models.kernels.cpu import _kernels
from stages._runtime import prepare_process
from tests.toys.project import ROOT

# torch names a folder after the user as soon as it makes an optimiser.
NAMELESS = """
import pwd
def refuse(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = refuse
from stages._runtime import prepare_process
prepare_process()
import torch
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
"""


def refuse(number: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {number}")


def test_a_user_without_an_entry_gets_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")  # put back at the end
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", refuse)
    prepare_process()
    assert getpass.getuser() == f"uid{os.getuid()}"


def test_torch_optimises_without_an_entry_and_a_home() -> None:
    result = subprocess.run(
        [sys.executable, "-c", NAMELESS],
        env={"PATH": "", "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_no_temporary_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(ParamsError, match=r"no temporary folder can be written .*; set TMPDIR"):
        prepare_process()


def test_no_folder_for_compiled_kernels_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = numba.njit

    def njit(*function: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*function, **options)

    monkeypatch.setattr(numba, "njit", njit)
    _kernels._warn_of_no_cache.cache_clear()
    with caplog.at_level(logging.WARNING):
        doubled, negated = (
            _kernels.compile_kernel(kernel) for kernel in (lambda x: 2 * x, lambda x: -x)
        )
    assert (doubled(3), negated(3)) == (6, -3)
    assert len(caplog.messages) == 1 and "set NUMBA_CACHE_DIR" in caplog.messages[0]
