"""synthetic sets -> artifacts"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def export(synthetic: Path, out: Path, *, params: Params) -> str:
    """Write each synthetic set as one self-describing HDF5 file, without scores.

    Example: avdistill export work/generated/dm/ipc1/synthetic work/generated/dm/ipc1/artifacts
    """
    from pipeline.artifact import ExportSettings, write_artifact
    from pipeline.core.errors import SourceError
    from pipeline.core.files import create_folder
    from pipeline.core.paths import list_folder
    from pipeline.core.tensors import NUMPY, load_synthetic
    from pipeline.distillation.feasibility import read_skipped, write_skipped

    if reason := read_skipped(synthetic):
        write_skipped(out, reason)
        return f"skipped: {reason} -> {out}"
    settings = params.build("export", ExportSettings)
    files = list_folder(synthetic, "seed*.safetensors")
    if not files:
        raise SourceError(
            f"{synthetic} holds no seed<k>.safetensors; expected a folder that "
            "`avdistill distill` wrote"
        )
    lines = []
    with create_folder(out) as part:
        for file in files:
            path = part / f"{file.stem}.h5"
            digest = write_artifact(path, load_synthetic(file, NUMPY), settings)
            size = path.stat().st_size
            lines.append(f"{out / path.name}  {size} bytes  digest {digest[:12]}")
    return "\n".join(lines)
