"""Facts of exporters and importers, on an artifact of the toy and on files of their layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pipeline.artifact import ExportSettings, write_artifact
from pipeline.core import plugins
from pipeline.core.params import from_values
from pipeline.core.paths import walk
from stages.contract.subject import expect, expect_same
from stages.contract.toys import toy_inputs, toy_runtime

if TYPE_CHECKING:
    from pathlib import Path

    from stages.contract.subject import Subject

ABOUT = {"method", "params", "seed", "pieces", "adopted"}


def write_toy(subject: Subject) -> Path:
    """Write the toy's herding set as an artifact, alone in a folder.

    Args:
        subject: has the folder.
    """
    packaged = from_values({}, "params.yaml")
    method = plugins.build("method", "herding", packaged)
    result = method.distill(toy_inputs(packaged), ipc=1, seed=0, runtime=toy_runtime())
    path = subject.make_folder() / "seed0.h5"
    write_artifact(path, result.synthetic, ExportSettings(storage="float32"))
    return path


def _read_files(root: Path) -> dict[str, bytes]:
    """Return the bytes of each file below a folder, or of one file."""
    if root.is_file():
        return {"": root.read_bytes()}
    paths = [folder / name for folder, names in walk(root) for name in names]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def check_export(subject: Subject) -> None:
    """Check that it writes a set, names the output, and leaves the artifact as it is."""
    artifact = write_toy(subject)
    before, out = artifact.read_bytes(), artifact.parent / "out"
    message = subject.plugin.write(artifact, out)
    expect(str(out) in str(message), f"the message {message!r}", f"one that names {out.name}")
    expect(bool(_read_files(out)), "no file", "an output")
    expect(artifact.read_bytes() == before, "another artifact", "the artifact as it was")
    left = {path for path in _read_files(artifact.parent) if path.endswith(".part")}
    expect(not left, f"{sorted(left)}", "no unfinished files")


def check_export_twice(subject: Subject) -> None:
    """Check that it writes the same bytes twice."""
    outputs = []
    for _ in range(2):
        artifact = write_toy(subject)
        subject.plugin.write(artifact, artifact.parent / "out")
        outputs.append(_read_files(artifact.parent / "out"))
    expect(outputs[0] == outputs[1], "other bytes", "the same")


def check_import(subject: Subject) -> None:
    """Check that it reads a whole set, finite, which says where it comes from."""
    synthetic = subject.plugin.read(subject.require_root())
    same = synthetic.rows.keys() == synthetic.formation.keys() == synthetic.normalisation.keys()
    expect(same, "parts of different modalities", "rows, formation and normalisation of one each")
    for m, rows in synthetic.rows.items():
        whole = rows.dtype == torch.float32 and bool(rows.isfinite().all())
        expect(whole, f"{m} rows of {rows.dtype}", "finite float32")
    missing = sorted(ABOUT - synthetic.provenance.keys())
    expect(not missing, f"provenance without {', '.join(missing)}", "all of them")


def check_import_twice(subject: Subject) -> None:
    """Check that it reads the same set twice, and leaves the files as they are."""
    root = subject.require_root()
    before = _read_files(root)
    first, second = (subject.plugin.read(root).columns for _ in range(2))
    expect_same(first, second, "the same set")
    expect(_read_files(root) == before, "other files", "files as they were")


EXPORTER_FACTS = (check_export, check_export_twice)
IMPORTER_FACTS = (check_import, check_import_twice)
