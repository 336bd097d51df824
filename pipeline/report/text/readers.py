"""Door to tabulate: LaTeX and Markdown tables, and the table for a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabulate import LATEX_ESCAPE_RULES, Line, TableFormat, tabulate

from pipeline.report.format import VIEWS, format_interval, format_mean_std, measure_name
from pipeline.report.tables import WHOLE, TableBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entry
    from pipeline.report.tables import Cell, Row, Table


def _format_markdown(results: Results) -> str:
    """Return the page's tables of scores as Markdown."""
    parts = [
        "Scores in %: mean ± standard deviation over students [95 % interval]; "
        "bold is the best mean of a row, or a difference whose interval excludes zero."
    ]
    for dataset in results.datasets:
        for title, columns, rows in _list_tables(dataset, results):
            heads, *body = ([text.replace("|", r"\|") for text in row] for row in [columns, *rows])
            table = tabulate(body, heads, tablefmt="github", disable_numparse=True)
            parts.append(f"### {dataset.dataset}, {title}\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _list_tables(
    dataset: DatasetResults, results: Results
) -> Iterator[tuple[str, Sequence[str], list[list[str]]]]:
    """Yield (title, columns, rows): scores by view, comparison, other tasks, students."""
    tables = TableBuilder(dataset=dataset, results=results)
    for measure in results.headline_measures:
        for metric in dataset.whole[measure].metrics:
            table = tables.build_scores(measure, metric)
            title = f"{measure_name(measure)}: {results.title_of(measure, metric)}"
            for group in table.groups:
                rows = [_format_row(row, table) for row in group.rows]
                yield f"{title}, {group.name}", table.columns, rows
    comparison = tables.build_comparison()
    yield "comparison", comparison.columns, _format_rows(comparison)
    for measure in results.other_measures:
        table = tables.build_task(measure)
        over = [name for name, count in table.over for _ in range(count)]
        names = [f"{o} {c}" for o, c in zip(over, table.columns[2:], strict=False)]
        columns = [*table.columns[:2], *names, *table.columns[2 + len(over) :]]
        yield f"task {measure.task}, {measure_name(measure)}", columns, _format_rows(table)
    for student, table in tables.build_kd().items():
        rows = [[g.name, *_format_row(row, table)] for g in table.groups for row in g.rows]
        yield f"students {student}", ["training set", *table.columns], rows


def _format_rows(table: Table) -> list[list[str]]:
    rows = [*(row for group in table.groups for row in group.rows), *table.foot]
    return [_format_row(row, table) for row in rows]


def _format_row(row: Row, table: Table) -> list[str]:
    texts = [row.head, *map(_format_cell, row.cells)]
    return texts + [""] * (len(table.columns) - len(texts))


def _format_cell(cell: Cell) -> str:
    text = f"{cell.text} [{', '.join(cell.interval)}]" if cell.interval else cell.text
    return f"**{text}**" if cell.bold else text


def _format_latex(results: Results) -> str:
    """Return the headline as tables for \\input, one per dataset; they need the package booktabs.

    Rows are IPCs, columns methods, and the best mean of a row is bold.
    """
    tables = [_format_latex_table(dataset, results) for dataset in results.datasets]
    return "\n".join([r"% \usepackage{booktabs}", *tables])


def _format_latex_table(dataset: DatasetResults, results: Results) -> str:
    measure, whole = results.headline, dataset.whole[results.headline]
    builder = TableBuilder(dataset=dataset, results=results)
    table, rows = builder.build_scores(measure, whole.headline), []
    for group in table.groups:
        view = _escape(VIEWS.get(group.name, group.name))
        rows.append([rf"\midrule \multicolumn{{{len(table.columns)}}}{{l}}{{{view}}}"])
        rows += [[row.head, *map(_format_latex_cell, row.cells)] for row in group.rows]
    counts = sorted({cell.entries[measure].joint.n for cell in dataset.cells.values()})
    metric = builder.metric[:1].upper() + builder.metric[1:]
    caption = _escape(
        f"{metric} in % on {dataset.dataset}, {measure_name(measure)}: "
        f"mean ± standard deviation over {whole.joint.n} students for the whole data and "
        f"{' or '.join(map(str, counts))} per cell."
    )
    label = re.sub(r"[^a-z0-9]+", "-", dataset.dataset.lower())
    heads = [_escape(name) for name in table.columns]
    return "\n".join(
        [
            "",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{r{'c' * len(results.methods)}}}",
            tabulate(rows, heads, tablefmt=_LATEX, disable_numparse=True),
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _format_latex_cell(cell: Cell) -> str:
    mean, *std = cell.text.split(" ± ")
    mean = rf"\mathbf{{{mean}}}" if cell.bold else mean
    text = "$" + r" \pm ".join([mean, *std]) + "$"
    return text if cell.span == 1 else rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}"


def _join_latex_cells(cells: Sequence[str], *_: Sequence[object]) -> str:
    """Return one line; the empty cells behind a multicolumn are left out."""
    return " & ".join(text for cell in cells if (text := cell.strip())) + r" \\"


_LATEX = TableFormat(
    lineabove=Line(r"\toprule", "", "", ""),
    linebelowheader=None,
    linebetweenrows=None,
    linebelow=Line(r"\bottomrule", "", "", ""),
    headerrow=_join_latex_cells,
    datarow=_join_latex_cells,
    padding=0,
    with_header_hide=None,
)


def _escape(text: str) -> str:
    return "".join({**LATEX_ESCAPE_RULES, "±": r"$\pm$"}.get(mark, mark) for mark in text)


def format_terminal(results: Results, page: str) -> str:
    """Return the headline's scores, one line per cell, then the page and the artifacts.

    Args:
        results: the scores.
        page: where the page lies.
    """
    parts = []
    for dataset in results.datasets:
        measure = results.headline
        whole = dataset.whole[measure]
        joint, *others = whole.views
        heads = ["method", "ipc", joint, "95 % interval", *others, "bytes"]
        rows = [
            _format_line(cell.method, str(cell.ipc), cell.entries[measure], str(cell.bytes))
            for cell in dataset.cells.values()
        ]
        rows.append(_format_line(WHOLE, "", whole, ""))
        metric = results.title_of(measure, whole.headline)
        sides = ["left", *["right"] * (len(heads) - 1)]
        table = tabulate(rows, heads, "plain", colalign=sides, disable_numparse=True)
        lines = [f"  {line}".rstrip() for line in table.splitlines()]
        title = f"{dataset.dataset}: {metric} in %, mean ± std, {measure_name(measure)}"
        parts.append("\n".join([title, *lines]))
    cells = [cell for dataset in results.datasets for cell in dataset.cells.values()]
    places = [("artifacts" if i == 0 else "", cell.folder) for i, cell in enumerate(cells)]
    paths = [("page", page), *((name, str(folder / "published")) for name, folder in places)]
    return "\n\n".join([*parts, tabulate(paths, tablefmt="plain", disable_numparse=True)]) + "\n"


def _format_line(method: str, ipc: str, entry: Entry, size: str) -> list[str]:
    joint, *others = (entry.metrics[entry.headline][view] for view in entry.views)
    interval = " - ".join(format_interval(joint) or ())
    return [method, ipc, format_mean_std(joint), interval, *map(format_mean_std, others), size]


# suffix -> results to text
FORMATS = {".md": _format_markdown, ".tex": _format_latex}
