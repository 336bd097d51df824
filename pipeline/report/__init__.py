"""Results -> one page, and the same numbers as CSV, JSON, Markdown, LaTeX and a table for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import OutputError, ParamsError
from pipeline.core.files import create_file, refuse_existing
from pipeline.report.html.gallery import build_gallery
from pipeline.report.html.page import render_page
from pipeline.report.read.results import gather
from pipeline.report.text.latex import format_latex
from pipeline.report.text.machine import (
    format_accuracy_csv,
    format_kd_csv,
    format_losses_csv,
    format_means_json,
    format_scores_csv,
)
from pipeline.report.text.markdown import format_markdown, format_terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.media.logmel import LogMel

SUFFIXES = (
    ".html",
    ".csv",
    ".json",
    ".md",
    ".txt",
    ".tex",
    ".losses.csv",
    ".accuracy.csv",
    ".taught.csv",
)


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Section `report`.

    Args:
        gallery: stored instances per class that the page shows of each method; 0 shows none.
        baseline: the method that the others are compared with.
    """

    gallery: int
    baseline: str

    def __post_init__(self) -> None:
        if self.gallery < 0:
            raise ParamsError(
                f"report.gallery is {self.gallery}; expected a number of instances per class, 0 for none"
            )


def write(
    results: Path,
    out: Path,
    grid: Grid,
    settings: ReportSettings,
    recipes: Mapping[str, Mapping[str, Any]],
    logmel: LogMel | None,
) -> str:
    """Write the page and its siblings, none of which may exist; return the headline's table for a terminal.

    Args:
        recipes: protocol -> its values, for the page to say what was done.
        logmel: what log-mels were made with, so that they can be heard; None for no sound.
    """
    places = {suffix: out.with_suffix(suffix) for suffix in SUFFIXES}
    if out != places[".html"]:
        raise OutputError(
            f"{out} does not end in .html; its siblings are named after it, so name the page <something>.html"
        )
    for place in places.values():
        refuse_existing(place)
    if settings.baseline not in grid.methods:
        raise ParamsError(
            f"report.baseline is {settings.baseline!r}, which is not in grid.methods; name one of {', '.join(grid.methods)}"
        )
    found = gather(results, grid, settings.baseline)
    missing = [measure.protocol for measure in found.measures if measure.protocol not in recipes]
    if missing:
        raise ParamsError(
            f"evaluate.protocols lacks {missing[0]}, of which there are scores; take the params they were made with"
        )
    ipc = found.ipcs[0]
    galleries = [
        {m: build_gallery(board.cells[m, ipc], settings.gallery, logmel) for m in found.methods}
        for board in found.boards
    ]
    texts = {
        ".csv": format_scores_csv(found),
        ".accuracy.csv": format_accuracy_csv(found),
        ".losses.csv": format_losses_csv(found),
        ".taught.csv": format_kd_csv(found),
        ".json": format_means_json(found),
        ".md": format_markdown(found),
        ".tex": format_latex(found),
        ".txt": format_terminal(found, results, out),
        ".html": render_page(found, galleries, recipes),  # last: where the page is, everything is
    }
    for suffix, text in texts.items():
        with create_file(places[suffix]) as part:
            part.write_text(text, encoding="utf-8")
    return texts[".txt"].rstrip()
