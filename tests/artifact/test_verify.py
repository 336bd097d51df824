"""verify, inspect and diff: their statements about a file are true, and a fault is CRITICAL."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.artifact import find_faults, read_unchecked, write_artifact
from pipeline.artifact.inspection import (
    Finding,
    Severity,
    compare_artifacts,
    render_page,
    verify_files,
)
from pipeline.artifact.inspection import verify as _verify
from pipeline.artifact.inspection.findings import find_remarks
from pipeline.artifact.inspection.verify import STRUCTURE_MIB, _limit_memory
from pipeline.core import hdf5 as tables
from pipeline.core.errors import ArtifactError
from stages.verify import verify
from tests.toys.artifacts import FULL, toy_synthetic


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    return tmp_path / "seed0.h5"


def rewritten(path: Path, columns: dict[str, Any] | None = None, **attributes: Any) -> Path:
    """Write other columns and attributes with a matching digest, as a careless writer would."""
    held, about = tables.read_table(path)
    given = {**about, **{name: value for name, value in attributes.items() if value is not None}}
    for name in [name for name, value in attributes.items() if value is None]:
        del given[name]
    tables.write_table(path, {**held, **(columns or {})}, given)
    return path


def remarked(path: Path) -> list[Finding]:
    return list(find_remarks(read_unchecked(path)))


def critical(path: Path) -> str:
    """All that is wrong with a file, found without a process of its own, which takes a second."""
    try:
        found = read_unchecked(path)
    except ArtifactError as error:
        return str(error)
    return "; ".join(find_faults(found.columns, found.about))


def test_an_artifact_of_ours_has_no_critical_finding(artifact: Path) -> None:
    ((path, found),) = verify_files([artifact])
    assert path == artifact and found == remarked(artifact)
    assert {finding.severity for finding in found} == {Severity.WARNING, Severity.HINT}


def test_a_set_without_scores_is_hinted_at(artifact: Path) -> None:
    assert Finding(
        severity=Severity.HINT, text="no scores; `avdistill evaluate`, then `avdistill publish`"
    ) in remarked(artifact)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"classes": ["a", "a"]}, "names a class twice"),
        ({"classes": 3}, "has classes that are not a list of names"),
        ({"classes": None}, "lacks classes"),
        ({"ipc": 7}, "has labels that are not 2 classes x ipc 7, class by class"),
        ({"ipc": 10**18}, "has labels that are not 2 classes x ipc 1000000000000000000"),
        ({"classes": "[" * 10**5}, "has classes that are not a list of names"),
        ({"ipc": "two"}, "has ipc 'two', expected 1 or more"),
        ({"formation": {"frame": [2, 2]}}, "holds rows of frame, logmel and a formation of frame"),
        (
            {"formation": {"frame": [3, 3], "logmel": [2, 2]}},
            "into 3 x 3 pieces, which do not divide it",
        ),
        (
            {"formation": {"frame": 1, "logmel": [2, 2]}},
            "does not follow the format in its formation (TypeError",
        ),
        ({"formation": "none"}, "holds rows of frame, logmel and a formation of n, o, n, e"),
        (
            {"normalisation": {"frame": {}, "logmel": {}}},
            "does not follow the format in its normalisation (KeyError: 'mean')",
        ),
        ({"format_version": "2.0"}, "format version 2.0, this program reads 1.1"),
        ({"format": "other"}, "is not an artifact of avdistill"),
        ({"packing": {"frame": {"scale": "x", "offset": 0}}}, "holds rows that cannot be unpacked"),
    ],
)
def test_attributes_that_do_not_fit_are_critical(
    artifact: Path, attributes: dict[str, Any], message: str
) -> None:
    assert message in critical(rewritten(artifact, **attributes))


def test_a_deviation_of_zero_is_critical(artifact: Path) -> None:
    how = json.loads(tables.read_table(artifact)[1]["normalisation"])
    how["frame"]["std"][1] = 0.0
    assert "a scale or deviation that is not positive" in critical(
        rewritten(artifact, normalisation=how)
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"label": np.array([0, 0, 1, 5])},
            "has labels that are not 2 classes x ipc 2, class by class",
        ),
        ({"label": np.array([0.0, 0, 1, 1])}, "has labels float64 [4], expected int64 [N]"),
        (
            {"frame": np.full((4, 1, 3, 8, 8), np.nan, np.float32)},
            "holds frame with NaN or infinite values",
        ),
        (
            {"frame": np.zeros((4, 8), np.float32)},
            "holds frame float32 [4, 8], expected numbers [N, ..., C, H, W]",
        ),
        (
            {"extra": np.zeros((4, 1, 2, 2), np.float32)},
            "holds rows of extra, frame, logmel and a formation of frame, logmel",
        ),
        (
            {"soft_label_frame": np.ones((4, 4, 2), np.float32)},
            "has soft labels of frame and rows of frame, logmel",
        ),
        ({"source_key": np.arange(4)}, "has a source_key that is not text [N]"),
    ],
)
def test_columns_that_do_not_fit_are_critical(
    artifact: Path, columns: dict[str, Any], message: str
) -> None:
    assert message in critical(rewritten(artifact, columns))


def test_soft_labels_that_are_no_probabilities_are_critical(artifact: Path) -> None:
    soft = {f"soft_label_{m}": np.full((4, 4, 2), 0.7, np.float32) for m in ("frame", "logmel")}
    assert "has soft labels of frame that are not probabilities" in critical(
        rewritten(artifact, soft)
    )


def test_rows_far_from_any_picture_are_a_warning(artifact: Path) -> None:
    rows = tables.read_table(artifact)[0]["frame"]
    found = remarked(rewritten(artifact, {"frame": rows * 1000}))
    assert any(
        f.severity is Severity.WARNING and "was it normalised twice, or not at all?" in f.text
        for f in found
    )


def test_rows_that_are_there_twice_are_a_warning(artifact: Path) -> None:
    rows = tables.read_table(artifact)[0]["frame"].copy()
    rows[1] = rows[0]
    assert "1 of 4 frame rows are duplicates" in [
        finding.text for finding in remarked(rewritten(artifact, {"frame": rows}))
    ]


def test_all_that_is_critical_is_one_error(artifact: Path) -> None:
    rewritten(artifact, classes=["a", "a"], ipc=7)
    with pytest.raises(
        ArtifactError, match=r"2 CRITICAL: .* names a class twice; .* are not 2 classes x ipc 7"
    ):
        verify(artifact, device="cpu", workers=1, report=None)


def test_a_folder_is_verified_file_by_file(artifact: Path) -> None:
    write_artifact(artifact.with_name("seed1.h5"), toy_synthetic(), FULL)
    message = verify(artifact.parent, device="cpu", workers=1, report=None)
    assert (
        f"{artifact}: intact, with findings\n  WARNING" in message
        and "seed1.h5: intact, with findings\n  WARNING" in message
    )


def test_the_page_has_the_set_its_origin_and_its_method(artifact: Path) -> None:
    message = render_page(artifact)
    assert all(f"\n{title}\n" in message for title in ("set", "origin", "method", "scores"))
    assert "4: 2 classes x IPC 2, 16 training instances" in message
    assert "herding, seed 0" in message and "not stated: no source is named" in message


def test_a_file_does_not_differ_from_its_copy(artifact: Path) -> None:
    write_artifact(artifact.with_name("seed1.h5"), toy_synthetic(), FULL)
    assert compare_artifacts(artifact, artifact.with_name("seed1.h5")).count("\n") == 0


def test_what_differs_is_named(artifact: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(artifact.read_bytes())
    rows = tables.read_table(artifact)[0]["frame"].copy()
    rows[2] += 0.5
    message = compare_artifacts(artifact, rewritten(other, {"frame": rows}, seed=3))
    assert (
        "0 | 3" in message and "1 of 4 differ, by 0.25 (root mean square), 0.5 at most" in message
    )


def test_more_than_sixteen_mib_beside_the_rows_is_refused_before_it_is_read(artifact: Path) -> None:
    with h5py.File(artifact, "r+") as file:
        file.attrs["bulk"] = "x" * (17 * 2**20)
    assert "MiB are not rows, expected 16 at most" in critical(artifact)


def dying(name: str) -> int:
    """What a forged file may do to HDF5."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return len(name)


def growing(name: str) -> int:
    """What a forged file may make HDF5 take: more than a parse is allowed."""
    _limit_memory(STRUCTURE_MIB)
    return len(bytearray((STRUCTURE_MIB + 10) * 2**20))


def hanging(name: str) -> int:
    time.sleep(60)
    return len(name)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (dying, "is damaged: it crashed its process (exit code -11); fetch it again"),
        (growing, "does not fit into memory; fetch it again"),
        (hanging, "is damaged: not done after 1 s; fetch it again"),
    ],
)
def test_a_file_that_ends_its_process_is_one_error(
    act: Callable[[str], int], message: str, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_verify, "_read_structure", act)
    with pytest.raises(ArtifactError, match=re.escape(message)):
        verify(artifact, device="cpu", workers=1, report=None)


def test_a_file_without_scores_cannot_be_reproduced(artifact: Path) -> None:
    with pytest.raises(ArtifactError, match="carries no scores with their protocol"):
        verify(artifact, reproduce=artifact.parent, device="cpu", workers=1, report=None)


def test_the_digest_is_not_of_the_compression(artifact: Path, tmp_path: Path) -> None:
    with (
        h5py.File(artifact) as file,
        h5py.File(tmp_path / "plain.h5", "w", libver="latest") as other,
    ):
        for name, dataset in file.items():
            other.create_dataset(name, data=dataset[()], dtype=dataset.dtype)
        for name, value in file.attrs.items():
            other.attrs[name] = value
    assert "are the same set (digest " in compare_artifacts(artifact, tmp_path / "plain.h5")


def test_what_opens_a_strangers_file_does_without_torch() -> None:
    code = "import sys, pipeline.artifact.inspection\n"
    code += "assert not {'torch', 'torchaudio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
