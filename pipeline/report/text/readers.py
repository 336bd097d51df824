"""Door to tabulate: LaTeX and Markdown tables, and the table for a terminal."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from tabulate import LATEX_ESCAPE_RULES, Line, TableFormat, tabulate

from pipeline.report.cells import DASH, WHOLE
from pipeline.report.data_tables import build_left_out, build_sizes, list_facts
from pipeline.report.format import VIEWS, format_interval, format_mean_std, measure_name
from pipeline.report.loose_tables import build_first_tables, build_loose_tables
from pipeline.report.notes import list_notes
from pipeline.report.tables import TableBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.report.cells import Cell, Row, Table
    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entry


def _format_markdown(results: Results) -> str:
    """Return the page's tables of scores as Markdown."""
    parts = [
        "Scores in %: mean ± standard deviation over students [95 % interval]; "
        "bold is the best mean of a row, or a difference whose interval excludes zero."
    ]
    for dataset in results.datasets:
        parts += [f"**{dataset.dataset}.** {note}" for note in list_notes(dataset, results)]
    parts += _list_methods(results)
    for dataset in results.datasets:
        for title, columns, rows, notes in _list_tables(dataset, results):
            parts += [_format_table(f"{dataset.dataset}, {title}", columns, rows), *notes]
        parts += _list_data(dataset)
    for table in build_loose_tables(results):
        parts += [_format_table(table.title, _join_heads(table), _format_rows(table)), *table.notes]
    parts += [f"Passed over, no scores can be read: {path}" for path in results.loose.unread]
    return "\n\n".join(parts) + "\n"


def _format_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads, *body = ([text.replace("|", r"\|") for text in row] for row in [columns, *rows])
    return f"### {title}\n\n{tabulate(body, heads, tablefmt='github', disable_numparse=True)}"


def _list_methods(results: Results) -> list[str]:
    """Return a list of the methods, spelt out, with the addresses of their papers."""
    texts = {method: results.texts.get_method(method) for method in results.methods}
    lines = [
        f"- {method}: " + (f"[{text.title}]({text.paper})" if text.paper else text.title)
        for method, text in texts.items()
    ]
    return ["\n".join(lines)] if lines else []


def _list_data(dataset: DatasetResults) -> Iterator[str]:
    """Yield the source, the counts, and the tables of rejects and sizes, as far as recorded."""
    if dataset.data:
        about = {**dataset.data.source, **list_facts(dataset.data)}
        if lines := [f"- {name}: {text}" for name, text in about.items()]:
            yield f"### {dataset.dataset}, data\n\n" + "\n".join(lines)
    for table in (build_left_out(dataset), build_sizes(dataset)):
        if table:
            yield _format_table(table.title, table.columns, _format_rows(table))


def _list_tables(
    dataset: DatasetResults, results: Results
) -> Iterator[tuple[str, Sequence[str], list[list[str]], list[str]]]:
    """Yield (title, columns, rows, lines below): scores by view, comparison, tasks, students."""
    tables = TableBuilder(dataset=dataset, results=results)
    for measure in results.headline_measures:
        shown, hidden = tables.split_metrics(measure)
        for metric in shown:
            table = tables.build_scores(measure, metric)
            title = f"{measure_name(measure)}: {results.title_of(measure, metric)}"
            for group in table.groups:
                rows = [_format_row(row, table) for row in group.rows]
                lines = [_format_line(*group.line)] if group.line else []
                below = [*lines, *table.notes, *(hidden if metric == shown[-1] else [])]
                yield f"{title}, {group.name}", table.columns, rows, below
    comparison = tables.build_comparison()
    yield "comparison", comparison.columns, _format_rows(comparison), []
    for measure in results.other_measures:
        table = tables.build_task(measure)
        title = f"task {measure.task}, {measure_name(measure)}"
        yield title, _join_heads(table), _format_rows(table), list(table.notes)
    for student, table in tables.build_kd().items():
        rows = [[g.name, *_format_row(row, table)] for g in table.groups for row in g.rows]
        yield f"students {student}", ["training set", *table.columns], rows, []


def _join_heads(table: Table) -> list[str]:
    """Return the columns, each with the head over it."""
    over = [name for name, count in table.over for _ in range(count)]
    names = [f"{o} {c}" for o, c in zip(over, table.columns[2:], strict=False)]
    return [*table.columns[:2], *names, *table.columns[2 + len(over) :]]


def _format_line(name: str, cell: Cell) -> str:
    return f"{name}: {_format_cell(cell)}"


def _format_rows(table: Table) -> list[list[str]]:
    return [_format_row(row, table) for row in _all_rows(table)]


def _all_rows(table: Table) -> list[Row]:
    return [*(row for group in table.groups for row in group.rows), *table.foot]


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
        if group.line:
            line = f"{group.line[0]}: {_format_latex_cell(group.line[1])}"
            rows.append([rf"\addlinespace \multicolumn{{{len(table.columns)}}}{{l}}{{{line}}}"])
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
    return DASH if cell.text == DASH else "$" + r" \pm ".join([mean, *std]) + "$"


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
            _format_scores(cell.method, str(cell.ipc), cell.entries[measure], str(cell.bytes))
            for cell in dataset.cells.values()
        ]
        rows.append(_format_scores(WHOLE, "", whole, ""))
        metric = results.title_of(measure, whole.headline)
        sides = ["left", *["right"] * (len(heads) - 1)]
        table = tabulate(rows, heads, "plain", colalign=sides, disable_numparse=True)
        lines = [f"  {line}".rstrip() for line in table.splitlines()]
        title = f"{dataset.dataset}: {metric} in %, mean ± std, {measure_name(measure)}"
        below = [*dataset.list_skipped(), *list_notes(dataset, results)]
        parts.append("\n".join([title, *lines, *map(_wrap_note, below)]))
    parts += _list_loose(results)
    cells = [cell for dataset in results.datasets for cell in dataset.cells.values()]
    places = [("artifacts" if i == 0 else "", cell.folder) for i, cell in enumerate(cells)]
    paths = [("page", page), *((name, str(folder / "published")) for name, folder in places)]
    return "\n\n".join([*parts, tabulate(paths, tablefmt="plain", disable_numparse=True)]) + "\n"


def _wrap_note(text: str) -> str:
    return textwrap.fill(text, 98, initial_indent="  ", subsequent_indent="    ")


def _list_loose(results: Results) -> Iterator[str]:
    """Yield the first table of each group of scores outside the grid; the page has the others."""
    for table in build_first_tables(results):
        rows = [[row.head, *(cell.text for cell in row.cells)] for row in _all_rows(table)]
        text = tabulate(rows, _join_heads(table), "plain", disable_numparse=True)
        yield "\n".join([table.title, *(f"  {line}".rstrip() for line in text.splitlines())])
    if results.loose.unread:
        yield f"passed over, no scores can be read: {'; '.join(results.loose.unread)}"


def _format_scores(method: str, ipc: str, entry: Entry, size: str) -> list[str]:
    joint, *others = (entry.metrics[entry.headline][view] for view in entry.views)
    interval = " - ".join(format_interval(joint) or ())
    return [method, ipc, format_mean_std(joint), interval, *map(format_mean_std, others), size]


# suffix -> results to text
FORMATS = {".md": _format_markdown, ".tex": _format_latex}
