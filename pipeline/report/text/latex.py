"""The headline as LaTeX tables, one per dataset: rows are IPCs, columns methods, the best in bold; needs the package booktabs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.report.format import measure_name, view_name
from pipeline.report.read.results import find_best_methods
from pipeline.report.read.scores import ACCURACY

if TYPE_CHECKING:
    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Summary

_SPECIAL = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "\\": "\\textbackslash{}",
}


def format_latex(found: Results) -> str:
    """All tables, to be taken in by \\input."""
    return "\n".join(
        ["% \\usepackage{booktabs}", *(_format_table(board, found) for board in found.boards)]
    )


def _format_table(board: DatasetResults, found: Results) -> str:
    measure = found.headline
    whole, lines = board.whole[measure], []
    for view in whole.views:
        lines += [
            rf"\midrule \multicolumn{{{len(found.methods) + 1}}}{{l}}{{{_escape(view_name(view))}}} \\"
        ]
        for ipc in found.ipcs:
            leaders = find_best_methods(board, measure, ACCURACY, view, found.methods, ipc)
            cells = [
                _format_score(
                    board.entry_of(m, ipc, measure).metrics[ACCURACY][view], bold=m in leaders
                )
                for m in found.methods
            ]
            lines.append(rf"{ipc} & {' & '.join(cells)} \\")
        last = _format_score(whole.metrics[ACCURACY][view], bold=False)
        lines.append(rf"whole data & \multicolumn{{{len(found.methods)}}}{{c}}{{{last}}} \\")
    caption = f"Accuracy in % on {board.dataset}, {measure_name(measure)}: mean ± standard deviation over {whole.joint.n} students"
    counts = sorted({own.entries[measure].joint.n for own in board.cells.values()})
    caption = _escape(
        f"{caption} for the whole data and {' or '.join(map(str, counts))} per cell."
    ).replace("±", r"$\pm$")
    label = re.sub(r"[^a-z0-9]+", "-", board.dataset.lower())
    return "\n".join(
        [
            "",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{r{'c' * len(found.methods)}}}",
            r"\toprule",
            rf"IPC & {' & '.join(_escape(method) for method in found.methods)} \\",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _format_score(summary: Summary, *, bold: bool) -> str:
    mean = rf"\mathbf{{{100 * summary.mean:.1f}}}" if bold else f"{100 * summary.mean:.1f}"
    return rf"${mean} \pm {100 * summary.std:.1f}$"


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(mark, mark) for mark in text)
