"""params.yaml and the installed code -> a digest per stage"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def code(out: Path, *, data: Path = Path("data"), params: Params) -> str:
    """Write a digest of the code that each stage of dvc.yaml runs, and of the plugins that it uses.

    A stage's code is its module and all that it imports; plugins count, with their values, where
    its params name them. Comments, docstrings and unused plugins change nothing. DVC runs this
    stage every time, and other stages where their digest changed. OUT also has a digest per dataset
    of the names, sizes and times of its media, DATA/<dataset>/media, for ingest.

    Example: avdistill code code.json
    """
    from pipeline.core.files import refuse_existing, write_json
    from pipeline.datasets.fingerprint import find_changes
    from pipeline.project import refuse_unfit

    refuse_existing(out)
    digests = _digest_stages(params)
    refuse_unfit(params)
    write_json(out, {"code": digests, "media": find_changes(data, list(digests["ingest"]))})
    return f"digests of {len(digests)} stages -> {out}"


def _digest_stages(params: Params) -> dict[str, Any]:
    from pipeline.core.code import digest_with_plugins
    from pipeline.core.files import shorten_digest
    from pipeline.core.params import Grid

    def digest(stage: str, *rows: str, values: Any = ()) -> str:
        return shorten_digest(digest_with_plugins(f"stages.{stage}", params, rows, values))

    def digest_rows(stage: str, names: Any, values: Any = ()) -> dict[str, str]:
        return {name: digest(stage, f"{stage}.{name}", values=values) for name in names}

    grid, section = params.build("grid", Grid), params.get_section
    evaluate, bank = section("evaluate"), section("experts")
    # Distillers choose among candidates by the students of the first measure.
    students = [{**one, "task": None} for one in evaluate["run"][:1] if isinstance(one, dict)]
    tuning = [students, section("evaluate.protocols").get("budget"), bank]
    plain = ("decode", "experts", "export", "publish")
    return {
        "ingest": digest_rows("ingest", grid.datasets),
        "extract": digest_rows("extract", section("extract")),
        "coreset": digest("coreset", *(f"coreset.{name}" for name in grid.selectors)),
        "distill": digest_rows("distill", grid.methods, tuning),
        "evaluate": digest("evaluate", values=evaluate),
        "ceiling": digest("ceiling", values=[section("ceiling"), evaluate]),
        "report": digest("report", values=[section("report"), evaluate]),
        **{stage: digest(stage, values=section(stage)) for stage in plain},
    }
