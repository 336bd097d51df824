"""params.yaml and the installed code -> a digest per stage"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def code(out: Path, *, params: Params) -> str:
    """Write a digest of the code that each stage of dvc.yaml runs, and of the plugins that it uses.

    A stage's code is its module and all that it imports; plugins count, with their values, where
    its params name them. Comments, docstrings and unused plugins change nothing. DVC runs this
    stage every time, and other stages where their digest changed.

    Example: avdistill code code.json
    """
    from pipeline.core.code import digest_code
    from pipeline.core.files import digest_of, refuse_existing, shorten_digest, write_json
    from pipeline.core.params import Grid
    from pipeline.core.plugins import find_used

    refuse_existing(out)
    grid, measures = params.build("grid", Grid), params.get_section("evaluate")
    students = {key: measures["run"][0].get(key) for key in ("network", "head")}
    bank = params.get_section("experts")

    def digest(stage: str, *rows: str, values: Any = ()) -> str:
        used = find_used(params, rows, values)
        code = digest_code([f"{__package__}.{stage}", *used.values()])
        # Whole rows: params.yaml may state what differs from the row that a new one starts from.
        named = {row: params.get_section(row) for row in used}
        return shorten_digest(digest_of([code, named]))

    digests: dict[str, Any] = {
        "ingest": {name: digest("ingest", f"ingest.{name}") for name in grid.datasets},
        "decode": digest("decode"),
        "extract": {
            name: digest("extract", f"extract.{name}") for name in params.get_section("extract")
        },
        "coreset": digest("coreset", *(f"coreset.{name}" for name in grid.selectors)),
        "experts": digest("experts", values=bank),
        "distill": {
            name: digest("distill", f"distill.{name}", values=[students, bank])
            for name in grid.methods
        },
        "evaluate": digest("evaluate", values=measures),
        "ceiling": digest("ceiling", values=measures),
        "report": digest("report", values=measures),
        **{stage: digest(stage) for stage in ("export", "publish")},
    }
    write_json(out, digests)
    return f"digests of {len(digests)} stages -> {out}"
