"""artifacts and scores -> artifacts that carry their scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def publish(
    artifact: Path, scores: Path, out: Path, *, ceiling: Path | None = None, params: Params
) -> str:
    """Copy artifacts and add their scores; the content digest does not change.

    ARTIFACT is a file or a folder of seed<k>.h5; OUT becomes a file or a folder accordingly. SCORES
    is the output of `avdistill evaluate` for ARTIFACT, CEILING that of `avdistill ceiling`: with it
    the scores on the whole data stand beside.

    Example: avdistill publish work/dm/artifacts work/dm/scores.json artifacts/generated-dm-ipc1
    """
    from pipeline.artifact import PublishSettings, list_artifacts, publish_artifact
    from pipeline.core.files import create_folder, read_json, refuse_existing
    from pipeline.distillation.feasibility import read_skipped, write_skipped

    if reason := read_skipped(artifact):
        write_skipped(out, reason)
        return f"skipped: {reason} -> {out}"
    settings = params.build("publish", PublishSettings)
    evaluated = read_json(scores, "evaluate")
    whole = read_json(ceiling, "ceiling") if ceiling else None
    lines = []
    if artifact.is_file():
        refuse_existing(out)
        return f"{out}  digest {publish_artifact(artifact, evaluated, settings, out, whole)[:12]}"
    with create_folder(out) as part:
        for file in list_artifacts(artifact):
            digest = publish_artifact(file, evaluated, settings, part / file.name, whole)
            lines.append(f"{out / file.name}  digest {digest[:12]}")
    return "\n".join(lines)
