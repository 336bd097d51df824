"""results -> tables, plots, gallery"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.params import Params


def report(results: Path, out: Path, *, params: Params) -> str:
    """Gather the scores of the grid's cells into one page that needs nothing else, and tables beside it.

    RESULTS holds <dataset>/ceiling.json and <dataset>/<method>/ipc<k>/; OUT ends in .html, and its siblings in .csv, .json,
    .md, .txt and .losses.csv carry the same numbers.

    Example: avdistill report work report/index.html
    """
    from pipeline import reporting
    from pipeline.params import Grid

    settings = params.build("report", reporting.Report)
    return reporting.write(results, out, params.build("grid", Grid), settings, params.section("evaluate.protocols"))
