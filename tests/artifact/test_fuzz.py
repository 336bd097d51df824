"""Thousands of damaged artifacts: each is read as a whole one, or refused in one sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.artifact import read_artifact, write_artifact
from pipeline.artifact.inspection import Severity, verify_files
from pipeline.core.errors import ArtifactError
from tests.toys.artifacts import FULL, toy_synthetic

MUTATIONS = 3000


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("valid") / "seed0.h5"
    write_artifact(path, toy_synthetic(), FULL)
    return path.read_bytes()


def mutated(valid: bytes, number: int) -> bytes:
    """Bytes flipped, overwritten, cut out, doubled, or the end cut off, as the number says."""
    random = np.random.default_rng(number)
    content = bytearray(valid)
    # The first kilobytes hold the superblock, heaps and trees that everything hangs on.
    reach = int(random.choice([100, 4096, len(content)]))
    for _ in range(int(random.integers(1, 5))):
        at, length = int(random.integers(reach)), int(random.choice([1, 1, 2, 8, 64]))
        piece = content[at : at + length]
        content[at : at + length] = [
            bytes(byte ^ (1 << int(random.integers(8))) for byte in piece),
            random.bytes(len(piece)),
            b"\xff" * len(piece),
            b"\0" * len(piece),
            b"",
            piece * 2,
        ][int(random.choice([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5]))]
    return bytes(
        content[: int(random.integers(len(content)))] if random.integers(8) == 0 else content
    )


def outcomes(files: list[Path]) -> list[str]:
    """What `verify` makes of each: whole, or the sentence of the one error."""
    found = []
    for file, findings in verify_files(files):
        critical = [finding.text for finding in findings if finding.severity is Severity.CRITICAL]
        assert all(text.startswith(str(file)) and "\n" not in text for text in critical)
        found.append(critical[0] if critical else "whole")
    return found


def test_every_mutation_is_whole_or_one_error(valid: bytes, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.h5" for number in range(MUTATIONS)]
    for number, file in enumerate(files):
        file.write_bytes(mutated(valid, number))
    digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    found = outcomes(files)
    assert len(found) == MUTATIONS and 0 < found.count("whole") < MUTATIONS
    assert {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
    } == digests


def without(name: str, **how: Any) -> Callable[[h5py.File], Any]:
    """Put another dataset in the place of one."""

    def act(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return act


def deep(file: h5py.File) -> None:
    group = file
    for _ in range(2000):
        group = group.create_group("g")


def soft(file: h5py.File) -> None:
    del file["frame"]
    file["frame"] = h5py.SoftLink("/frame")


def external(file: h5py.File) -> None:
    del file["frame"]
    file["frame"] = h5py.ExternalLink("/etc/passwd", "/frame")


def elsewhere(file: h5py.File) -> None:
    """Rows whose bytes are those of another file."""
    del file["frame"]
    file.create_dataset("frame", (4, 1, 3, 8, 8), "u1", external=[("/etc/passwd", 0, 768)])


def virtual(file: h5py.File) -> None:
    del file["frame"]
    layout = h5py.VirtualLayout((4, 1, 3, 8, 8), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "frame", (4, 1, 3, 8, 8))
    file.create_virtual_dataset("frame", layout)


def references(file: h5py.File) -> None:
    target = file["logmel"].ref
    del file["frame"]
    file.create_dataset("frame", data=np.array([target] * 4, dtype=h5py.ref_dtype))


# What somebody does to an artifact by HDF5's own means, and what is said of it.
TAMPERED: list[tuple[Callable[[h5py.File], Any], str]] = [
    (deep, "g is no dataset"),
    (soft, "frame is a link to elsewhere"),
    (external, "frame is a link to elsewhere"),
    (elsewhere, "frame lies in other files"),
    (virtual, "frame lies in other files"),
    (references, "frame holds neither numbers nor text"),
    (
        without("frame", shape=(4, 10**12), dtype="f4", chunks=(1, 16)),
        "frame declares [4, 1000000000000] values of 4 bytes",
    ),
    (
        without("frame", shape=(2**31, 2**31), dtype="f4", chunks=(1, 1)),
        "frame declares [2147483648, 2147483648] values",
    ),
    (
        without("frame", shape=(4, 2**26), dtype="f4", chunks=(4, 2**26)),
        "values of 4 bytes for a chunk, expected 64 MiB at most",
    ),
    (without("source_key", data=["x"] * 4), "source_key is text of variable length"),
    (without("label", data=1), "label has no rows"),
    (without("label", data=np.zeros(4, complex)), "label holds neither numbers nor text"),
    (without("label", data=np.zeros((1,) * 9)), "label has no rows, or more than 8 dimensions"),
    (lambda file: file.move("label", "../label"), "an entry named '..'"),
    (
        lambda file: file.move("label", "la bel"),
        "an entry named 'la bel', expected letters, digits",
    ),
    (
        lambda file: [file.create_dataset(f"x{i}", data=[0] * 4) for i in range(70)],
        "it holds 74 entries, expected 64 at most",
    ),
    (
        lambda file: [file.attrs.create(f"x{i}", i) for i in range(300)],
        "attributes, expected 256 at most",
    ),
    (lambda file: file.attrs.create("bulk", "x" * 10**8), "MiB are not rows, expected 16 at most"),
    (lambda file: file.attrs.modify("classes", "[" * 10**5), "was changed since it was written"),
    (lambda file: file.attrs.modify("ipc", 10**18), "was changed since it was written"),
    (lambda file: file.attrs.create("classes", np.arange(9)), "was changed since it was written"),
]


@pytest.fixture(scope="module")
def tampered(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """Each file with the output of `verify`, of all at once: a process takes a second to start."""
    folder = tmp_path_factory.mktemp("tampered")
    files = [folder / f"{number}.h5" for number in range(len(TAMPERED))]
    for file, (act, _) in zip(files, TAMPERED, strict=True):
        write_artifact(file, toy_synthetic(), FULL)
        with h5py.File(file, "r+") as opened:
            act(opened)
    return list(zip(files, outcomes(files), strict=True))


@pytest.mark.parametrize("number", range(len(TAMPERED)))
def test_what_a_file_may_not_hold(number: int, tampered: list[tuple[Path, str]]) -> None:
    file, found = tampered[number]
    assert TAMPERED[number][1] in found
    with pytest.raises(ArtifactError, match=re.escape(TAMPERED[number][1])):
        read_artifact(file)


def test_a_name_with_nul_ends_at_it(tmp_path: Path) -> None:
    path = tmp_path / "seed0.h5"
    write_artifact(path, toy_synthetic(), FULL)
    path.write_bytes(path.read_bytes().replace(b"logmel\0", b"l\0gmel\0"))
    (found,) = outcomes([path])
    assert found != "whole"
