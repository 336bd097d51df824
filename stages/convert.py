"""artifact -> what another tool reads"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def convert(format: str, artifact: Path, out: Path, *, params: Params) -> str:  # noqa: A002 - what the command line calls it
    """Write an artifact in another format: card, croissant, webdataset, previews or ddranking.

    FORMAT is a file under pipeline/exporters/, its values stand in the section `convert`; docs/guide/convert.md shows each, and what is
    lost. OUT is a file or a folder, as the format has it.

    Example: avdistill convert card artifacts/generated-dm-ipc1/seed0.h5 artifacts/generated-dm-ipc1/README.md
    """
    from pipeline.artifact.inspection import refuse_damaged
    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing

    exporter = plugins.build("exporter", format, params)
    refuse_existing(out)
    refuse_damaged(artifact)
    told: str = exporter.write(artifact, out)
    return told
