"""results -> tables, plots, gallery"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params


def report(results: Path, out: Path, *, params: Params) -> str:
    """Gather the scores of the grid's cells into one page that needs nothing else, and tables.

    RESULTS holds <dataset>/ceiling.json and <dataset>/<method>/ipc<k>/. Files of scores anywhere
    else in it have tables of their own; a folder without the grid's cells has these tables alone.
    OUT ends in .html. The files beside it, with .csv, .json, .md, .tex, .txt, .accuracy.csv,
    .losses.csv and .taught.csv, hold the same numbers. Students of `avdistill teach` are read from
    each dataset's folder `taught`.

    Example: avdistill report work report/index.html
    """
    from pipeline.core.params import Grid
    from pipeline.evaluation import ScoreTexts
    from pipeline.media.logmel import LogMel
    from pipeline.report import ReportSettings, write_report

    settings, grid = params.build("report", ReportSettings), params.build("grid", Grid)
    has_sound = "logmel" in params.get_section("decode").get("modalities", ())
    logmel = params.build("decode.logmel", LogMel) if has_sound else None
    return write_report(results, out, grid, settings, ScoreTexts.from_params(params), logmel)
