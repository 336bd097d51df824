"""published tensors -> artifact"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def adopt(layout: str, path: Path, out: Path, *, params: Params) -> str:
    """Make an artifact of .pt files that another project published, by layout: {importers}.

    PATH is the file, or the folder of the files. Values that they lack are in the section `import`,
    see docs/guide/convert.md. Nothing in the files is run; content other than tensors, numbers,
    text and lists of them is refused.

    Example: avdistill adopt dc res_DM_CIFAR10_ConvNet_10ipc.pt artifacts/cifar10-dm-ipc10.h5
    """
    from pipeline.artifact import ExportSettings, write_artifact
    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing

    importer = plugins.build("importer", layout, params)
    refuse_existing(out)
    digest = write_artifact(out, importer.read(path), params.build("export", ExportSettings))
    return f"{out}  {out.stat().st_size} bytes  digest {digest[:12]}"
