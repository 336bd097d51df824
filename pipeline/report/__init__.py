"""Results -> one page, and the same numbers as CSV, JSON, Markdown, LaTeX and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.errors import OutputError
from pipeline.core.files import create_file, refuse_existing
from pipeline.report.html.gallery import build_gallery
from pipeline.report.html.page import render_page
from pipeline.report.read.gather import gather_results
from pipeline.report.settings import ReportSettings
from pipeline.report.text import programs, readers

__all__ = ["SUFFIXES", "ReportSettings", "write_report"]

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.evaluation import ScoreTexts
    from pipeline.media.logmel import LogMel
    from pipeline.report.read.results import Results

_FORMATS = {**programs.FORMATS, **readers.FORMATS}
SUFFIXES = (*_FORMATS, ".txt", ".html")


def write_report(
    results: Path,
    out: Path,
    grid: Grid,
    settings: ReportSettings,
    texts: ScoreTexts,
    logmel: LogMel | None,
) -> str:
    """Write the page and the files beside it; return the headline's table for a terminal.

    Args:
        results: folder of <dataset>/ceiling.json and <dataset>/<method>/ipc<k>, or of any scores.
        out: the page; neither it nor a file beside it may exist.
        grid: the cells that are compared; other scores have tables of their own.
        settings: section `report`.
        texts: of tasks, metrics, protocols and methods.
        logmel: settings of the log-mels, so that they can be heard; None for no sound.

    Raises:
        PipelineError: an output exists, a result does not fit, or params name unknown things.
    """
    paths = {suffix: out.with_suffix(suffix) for suffix in SUFFIXES}
    if out != paths[".html"]:
        raise OutputError(
            f"{out} does not end in .html; the files beside it have its name, so name the page "
            "<something>.html"
        )
    for path in paths.values():
        refuse_existing(path)
    contents = _build_contents(gather_results(results, grid, settings, texts), out, logmel)
    for suffix, content in contents.items():
        with create_file(paths[suffix]) as part:
            part.write_text(content, encoding="utf-8")
    return contents[".txt"].rstrip()


def _build_contents(results: Results, page: Path, logmel: LogMel | None) -> dict[str, str]:
    """Return suffix -> text, the page last: where it is, everything is."""
    galleries = [
        {
            method: build_gallery(cell, results.settings.gallery, logmel)
            for (method, ipc), cell in dataset.cells.items()
            if ipc == dataset.ipcs[0]
        }
        for dataset in results.datasets
    ]
    contents = {suffix: format_results(results) for suffix, format_results in _FORMATS.items()}
    contents[".txt"] = readers.format_terminal(results, str(page))
    return {**contents, ".html": render_page(results, galleries)}
