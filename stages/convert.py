"""artifact -> a file in another tool's format"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def convert(format: str, artifact: Path, out: Path, *, params: Params) -> str:  # noqa: A002
    """Write an artifact in another format: {exporters}.

    FORMAT is a file in pipeline/artifact/exporters/; its values are in the section `convert`. OUT
    is a file or a folder, depending on FORMAT. docs/guide/convert.md shows each format and the
    information that is lost.

    Example: avdistill convert card artifacts/seed0.h5 artifacts/README.md
    """
    from pipeline.artifact.inspection import refuse_damaged
    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing

    exporter = plugins.build("exporter", format, params)
    refuse_existing(out)
    refuse_damaged(artifact)
    description: str = exporter.write(artifact, out)
    return description
