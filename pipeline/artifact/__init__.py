"""The versioned synthetic set: one HDF5 file that says everything about itself (docs/artifact-format.md)."""

from __future__ import annotations

from pipeline.artifact.file import (
    Artifact,
    Export,
    Publish,
    artifacts_in,
    publish_artifact,
    read_about,
    read_artifact,
    read_unchecked,
    write_artifact,
)
from pipeline.artifact.schema import FORMAT, VERSION, faults

__all__ = [
    "FORMAT",
    "VERSION",
    "Artifact",
    "Export",
    "Publish",
    "artifacts_in",
    "faults",
    "publish_artifact",
    "read_about",
    "read_artifact",
    "read_unchecked",
    "write_artifact",
]
