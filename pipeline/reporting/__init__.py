"""Results -> one page, and the same numbers as CSV, JSON, Markdown and a table for a terminal."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import OutputError, ParamsError
from pipeline.files import new_file, refuse_existing
from pipeline.records import percent
from pipeline.reporting._gallery import gallery
from pipeline.reporting._page import page
from pipeline.reporting._results import Results, best, gather

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.params import Grid
    from pipeline.reporting._results import Board, Scores

# The method that the ceiling goes by in tables for machines.
WHOLE = "whole"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Section `report`.

    Args:
        headline: the protocol that is shown first, and on the terminal.
        gallery: stored instances per class that the page shows of each method; 0 shows none.
    """

    headline: str
    gallery: int


def write(results: Path, out: Path, grid: Grid, settings: Report, recipes: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the page and its siblings, none of which may exist; return the headline's table for a terminal.

    Args:
        recipes: protocol -> its values, for the page to say what was done.
    """
    places = {suffix: out.with_suffix(suffix) for suffix in (".html", ".csv", ".json", ".md", ".txt", ".losses.csv")}
    if out != places[".html"]:
        raise OutputError(f"{out} does not end in .html; its siblings are named after it, so name the page <something>.html")
    for place in places.values():
        refuse_existing(place)
    found = gather(results, grid, settings.headline)
    missing = [name for name in found.protocols if name not in recipes]
    if missing:
        raise ParamsError(f"evaluate.protocols lacks {missing[0]}, of which there are scores; take the params they were made with")
    ipc = found.ipcs[0]
    galleries = [{m: gallery(board.cells[m, ipc].published, settings.gallery) for m in found.methods} for board in found.boards]
    texts = {
        ".csv": _csv(found),
        ".json": json.dumps(_percents(found), indent=1) + "\n",
        ".md": _markdown(found),
        ".txt": _terminal(found, results, out) + "\n",
        ".losses.csv": _losses(found),
        ".html": page(found, galleries, recipes),  # last: where the page is, everything is
    }
    for suffix, text in texts.items():
        with new_file(places[suffix]) as part:
            part.write_text(text, encoding="utf-8")
    return texts[".txt"].rstrip()


def _rows(board: Board) -> Iterator[tuple[str, int | None, int | None, Scores]]:
    """(method, ipc, bytes, scores) of each cell, then of the ceiling, which has neither ipc nor bytes."""
    for cell in board.cells.values():
        yield cell.method, cell.ipc, cell.bytes, cell.scores
    yield WHOLE, None, None, board.whole


def _csv(found: Results) -> str:
    """One row per cell x protocol x view, and the ceilings; mean, std, low and high are fractions."""
    numbers = ("mean", "std", "low", "high")
    rows = [
        [board.dataset, method, ipc, protocol, view, *(f"{score[x]:.6f}" for x in numbers), score["n"], size]
        for board in found.boards
        for method, ipc, size, scores in _rows(board)
        for protocol in found.protocols
        for view, score in ((view, scores[protocol][view]) for view in board.views)
    ]
    return _joined(("dataset", "method", "ipc", "protocol", "view", *numbers, "n", "bytes"), rows)


def _losses(found: Results) -> str:
    rows = [
        [f"{board.dataset}/{cell.method}/ipc{cell.ipc}", step, f"{loss:.6g}"]
        for board in found.boards
        for cell in board.cells.values()
        for step, loss in cell.losses
    ]
    return _joined(("cell", "step", "loss"), rows)


def _joined(head: tuple[str, ...], rows: list[list[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *rows])
    return stream.getvalue()


def _percents(found: Results) -> dict[str, Any]:
    """dataset -> "<method>-ipc<k>" or "whole" -> protocol -> view -> mean in percent: what `dvc metrics show` flattens."""
    return {
        board.dataset: {
            (method if ipc is None else f"{method}-ipc{ipc}"): {
                protocol: {view: round(100 * scores[protocol][view]["mean"], 2) for view in board.views}
                for protocol in found.protocols
            }
            for method, ipc, _, scores in _rows(board)
        }
        for board in found.boards
    }


def _markdown(found: Results) -> str:
    parts = ["Accuracy in %: mean ± standard deviation over students [95 % interval]; bold is the highest mean of a row."]
    for board in found.boards:
        for protocol in found.protocols:
            parts += [_markdown_table(board, protocol, view, found) for view in board.views]
    return "\n\n".join(parts) + "\n"


def _markdown_table(board: Board, protocol: str, view: str, found: Results) -> str:
    rows = [["IPC", *found.methods], ["--:", *("---" for _ in found.methods)]]
    for ipc in found.ipcs:
        leaders = best(board, protocol, view, found.methods, ipc)
        texts = {m: percent(board.cells[m, ipc].scores[protocol][view]) for m in found.methods}
        rows.append([str(ipc), *(f"**{text}**" if m in leaders else text for m, text in texts.items())])
    rows.append(["whole", percent(board.whole[protocol][view]), *("" for _ in found.methods[1:])])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"### {board.dataset}, protocol {protocol}, {view}", "", *lines])


def _terminal(found: Results, results: Path, out: Path) -> str:
    """The headline's scores, one line per cell and at most 100 columns, then the page and the artifacts."""
    protocol = found.protocols[0]
    width = max(len(name) for name in ("method", WHOLE, *found.methods))
    lines = []
    for board in found.boards:
        head, *others = board.views
        heads = "".join(f"{view:>14}" for view in others)
        lines.append(f"{board.dataset}: accuracy in %, mean ± std, protocol {protocol}")
        lines.append(f"  {'method':<{width}}{'ipc':>6}{head:>14}{'95 % interval':>17}{heads}{'bytes':>12}")
        for method, ipc, size, scores in _rows(board):
            views = scores[protocol]
            spreads = {view: f"{100 * x['mean']:.1f} ± {100 * x['std']:.1f}" for view, x in views.items()}
            interval = f"{100 * views[head]['low']:.1f} - {100 * views[head]['high']:.1f}"
            rest = "".join(f"{spreads[view]:>14}" for view in others)
            name = f"  {method:<{width}}{'' if ipc is None else ipc:>6}"
            lines.append(f"{name}{spreads[head]:>14}{interval:>17}{rest}{'' if size is None else size:>12}".rstrip())
        lines.append("")
    artifacts = [f"           {results / cell.folder / 'published'}" for board in found.boards for cell in board.cells.values()]
    return "\n".join([*lines, f"page       {out}", f"artifacts{artifacts[0][9:]}", *artifacts[1:]])
