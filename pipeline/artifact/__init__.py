"""The artifact: a synthetic set as one self-describing, versioned HDF5 file.

docs/reference/artifact-format.md specifies the format.
"""

from __future__ import annotations

from pipeline.artifact.file import (
    Artifact,
    ExportSettings,
    list_artifacts,
    read_about,
    read_artifact,
    read_unchecked,
    write_artifact,
)
from pipeline.artifact.publish import PublishSettings, publish_artifact
from pipeline.artifact.schema import FORMAT, VERSION, find_faults

__all__ = [
    "FORMAT",
    "VERSION",
    "Artifact",
    "ExportSettings",
    "PublishSettings",
    "find_faults",
    "list_artifacts",
    "publish_artifact",
    "read_about",
    "read_artifact",
    "read_unchecked",
    "write_artifact",
]
