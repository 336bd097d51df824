"""Results -> one page, and the same numbers as CSV, JSON, Markdown, LaTeX and for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import OutputError, ParamsError
from pipeline.core.files import create_file, refuse_existing
from pipeline.report.html.gallery import build_gallery
from pipeline.report.html.page import render_page
from pipeline.report.read.results import gather_results
from pipeline.report.text.programs import (
    format_accuracy_csv,
    format_kd_csv,
    format_losses_csv,
    format_means_json,
    format_scores_csv,
)
from pipeline.report.text.readers import format_latex, format_markdown, format_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.evaluation import ScoreTexts
    from pipeline.media.logmel import LogMel

# The page comes last: where it is, everything is.
_FORMATS = {
    ".csv": format_scores_csv,
    ".accuracy.csv": format_accuracy_csv,
    ".losses.csv": format_losses_csv,
    ".taught.csv": format_kd_csv,
    ".json": format_means_json,
    ".md": format_markdown,
    ".tex": format_latex,
}
SUFFIXES = (*_FORMATS, ".txt", ".html")


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Section `report`.

    Args:
        gallery: stored instances per class that the page shows of each method; 0 shows none.
        baseline: the method that the others are compared with.
        random: the method that selects at random, which IOR is measured from; null for no IOR.
        kd_baseline: the method of `teach` without a teacher, which stands first; null for none.
    """

    gallery: int
    baseline: str
    random: str | None = None
    kd_baseline: str | None = None

    def __post_init__(self) -> None:
        if self.gallery < 0:
            raise ParamsError(
                f"report.gallery is {self.gallery}; expected a number of instances per class, "
                "0 for none"
            )


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
        results: folder of <dataset>/ceiling.json and <dataset>/<method>/ipc<k>.
        out: the page; neither it nor a file beside it may exist.
        grid: the cells that are read.
        settings: section `report`.
        texts: of tasks, metrics and protocols.
        logmel: settings of the log-mels, so that they can be heard; None for no sound.

    Raises:
        OutputError: a file exists, or the page's name does not end in .html.
        ParamsError: the baseline or a protocol is unknown, or the log-mels have other settings.
        SourceError: a result is missing, damaged, or does not fit the others.
    """
    paths = {suffix: out.with_suffix(suffix) for suffix in SUFFIXES}
    if out != paths[".html"]:
        raise OutputError(
            f"{out} does not end in .html; the files beside it have its name, so name the page "
            "<something>.html"
        )
    for path in paths.values():
        refuse_existing(path)
    if settings.baseline not in grid.methods:
        raise ParamsError(
            f"report.baseline is {settings.baseline!r}, which is not in grid.methods; "
            f"name one of {', '.join(grid.methods)}"
        )
    gathered = gather_results(results, grid, settings, texts)
    for protocol in (measure.protocol for measure in gathered.measures):
        if protocol not in texts.protocols:
            raise ParamsError(
                f"evaluate.protocols lacks {protocol}, which has scores; "
                "take the params that they were made with"
            )
    galleries = [
        {
            method: build_gallery(dataset.cells[method, gathered.ipcs[0]], settings.gallery, logmel)
            for method in gathered.methods
        }
        for dataset in gathered.datasets
    ]
    contents = {suffix: format_results(gathered) for suffix, format_results in _FORMATS.items()}
    contents[".txt"] = format_terminal(gathered, str(out))
    contents[".html"] = render_page(gathered, galleries)
    for suffix, content in contents.items():
        with create_file(paths[suffix]) as part:
            part.write_text(content, encoding="utf-8")
    return contents[".txt"].rstrip()
