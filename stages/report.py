"""results -> tables, plots, gallery"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def report(results: Path, out: Path, *, params: Params) -> str:
    """Gather the scores of the grid's cells into one page that needs nothing else, and tables beside it.

    RESULTS holds <dataset>/ceiling.json and <dataset>/<method>/ipc<k>/; OUT ends in .html, and its siblings in .csv, .json, .md,
    .tex, .txt, .accuracy.csv, .losses.csv and .taught.csv carry the same numbers; students of `avdistill teach` are read from each
    set's folder `taught`.

    Example: avdistill report work report/index.html
    """
    from pipeline import report as reporting
    from pipeline.core.params import Grid
    from pipeline.media.logmel import LogMel

    settings, grid = params.build("report", reporting.ReportSettings), params.build("grid", Grid)
    heard = "logmel" in params.get_section("decode").get("modalities", ())
    logmel = params.build("decode.logmel", LogMel) if heard else None
    return reporting.write(
        results, out, grid, settings, params.get_section("evaluate.protocols"), logmel
    )
