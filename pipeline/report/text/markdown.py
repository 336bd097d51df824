"""The page's siblings for readers: Markdown, and the table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.compare import compare_methods, correlation
from pipeline.report.format import (
    format_difference,
    format_interval,
    format_mean_std,
    format_score,
    measure_name,
)
from pipeline.report.read.kd import group_by_student, lines_of, metrics_of
from pipeline.report.read.results import find_best_methods
from pipeline.report.read.scores import ACCURACY
from pipeline.report.text.machine import WHOLE, iterate_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.report.read.kd import KDScores
    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entry, MeasurementKey


def format_markdown(found: Results) -> str:
    """Every table of the page."""
    parts = [
        "Scores in %: mean ± standard deviation over students [95 % interval]; bold is the highest mean of a row."
    ]
    for board in found.boards:
        for measure in found.recognition:
            whole = board.whole[measure]
            places = [
                (metric, view)
                for metric in whole.metrics
                for view in whole.views
                if view in whole.metrics[metric]
            ]
            parts += [
                _format_score_table(board, measure, metric, view, found) for metric, view in places
            ]
        parts.append(_format_comparison_table(board, found))
        parts += [_format_task_table(board, measure) for measure in found.others]
        parts += [
            _format_kd_table(board, student, sets)
            for student, sets in group_by_student(board.taught).items()
        ]
    return "\n\n".join(parts) + "\n"


def _format_score_table(
    board: DatasetResults, measure: MeasurementKey, metric: str, view: str, found: Results
) -> str:
    lines = []
    for ipc in found.ipcs:
        leaders = find_best_methods(board, measure, metric, view, found.methods, ipc)
        texts = {
            m: format_score(metric, board.entry_of(m, ipc, measure).metrics[metric][view])
            for m in found.methods
        }
        lines.append(
            [str(ipc), *(f"**{text}**" if m in leaders else text for m, text in texts.items())]
        )
    lines.append(
        [
            "whole",
            format_score(metric, board.whole[measure].metrics[metric][view]),
            *("" for _ in found.methods[1:]),
        ]
    )
    return _format_table(
        f"{board.dataset}, {measure_name(measure)}: {metric}, {view}",
        ["IPC", *found.methods],
        lines,
    )


def _format_comparison_table(board: DatasetResults, found: Results) -> str:
    lines = [
        [
            x.method,
            str(x.ipc),
            f"{100 * x.accuracy:.1f}",
            f"{format_difference(d.mean)} [{format_difference(d.low)}, {format_difference(d.high)}]"
            if (d := x.difference)
            else "",
            f"{x.hlr:.3f}",
            "" if x.ior is None else f"{x.ior:.3f}",
        ]
        for x in compare_methods(board, found)
    ]
    return _format_table(
        f"{board.dataset}, comparison",
        ["method", "IPC", "accuracy", f"minus {found.baseline}", "HLR", "IOR"],
        lines,
    )


def _format_task_table(board: DatasetResults, measure: MeasurementKey) -> str:
    whole = board.whole[measure]
    places = [(metric, view) for metric, views in whole.metrics.items() for view in views]
    ranks = measure.task == "ranking"

    def format_line(name: str, ipc: str, entry: Entry) -> list[str]:
        value = correlation(entry, whole) if ranks and entry is not whole else None
        return [
            name,
            ipc,
            *(format_score(m, entry.metrics[m][v]) for m, v in places),
            *([_format_correlation(value)] if ranks else []),
        ]

    lines = [
        format_line(own.method, str(own.ipc), own.entries[measure]) for own in board.cells.values()
    ]
    heads = [
        "method",
        "IPC",
        *(f"{metric} {view}" for metric, view in places),
        *(["Spearman"] if ranks else []),
    ]
    title = f"{board.dataset}, task {measure.task}, {measure_name(measure)}"
    return _format_table(title, heads, [*lines, format_line(WHOLE, "", whole)])


def _format_kd_table(
    board: DatasetResults, student: str, sets: Mapping[str, Sequence[KDScores]]
) -> str:
    metrics = metrics_of(sets)
    lines = [
        [
            name,
            called,
            *(
                format_score(m, one.metrics[m][key]) if key in one.metrics.get(m, {}) else ""
                for m in metrics
            ),
        ]
        for name, methods in sets.items()
        for called, one, key in lines_of(methods)
    ]
    blank = [""] * (len(metrics) - 1)
    lines += [
        [name, called, needs, *blank]
        for name, methods in sets.items()
        for called, needs in methods[0].not_run.items()
    ]
    return _format_table(
        f"{board.dataset}, students {student}", ["training set", "method", *metrics], lines
    )


def _format_correlation(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _format_table(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    body = [
        f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |"
        for line in (heads, ["---"] * len(heads), *lines)
    ]
    return "\n".join([f"### {title}", "", *body])


def format_terminal(found: Results, results: Path, out: Path) -> str:
    """The headline's scores, one line per cell and at most 100 columns, then the page and the artifacts."""
    measure = found.headline
    width = max(len(name) for name in ("method", WHOLE, *found.methods))
    lines = []
    for board in found.boards:
        head, *others = board.whole[measure].views
        lines.append(f"{board.dataset}: accuracy in %, mean ± std, {measure_name(measure)}")
        heads = "".join(f"{view:>14}" for view in others)
        lines.append(
            f"  {'method':<{width}}{'ipc':>6}{head:>14}{'95 % interval':>17}{heads}{'bytes':>12}"
        )
        for method, ipc, size, entries in iterate_rows(board):
            views = entries[measure].metrics[ACCURACY]
            rest = "".join(f"{format_mean_std(ACCURACY, views[view]):>14}" for view in others)
            name = f"  {method:<{width}}{'' if ipc is None else ipc:>6}{format_mean_std(ACCURACY, views[head]):>14}"
            lines.append(
                f"{name}{format_interval(ACCURACY, views[head], ' - '):>17}{rest}{'' if size is None else size:>12}".rstrip()
            )
        lines.append("")
    artifacts = [
        f"           {results / cell.folder / 'published'}"
        for board in found.boards
        for cell in board.cells.values()
    ]
    return (
        "\n".join([*lines, f"page       {out}", f"artifacts{artifacts[0][9:]}", *artifacts[1:]])
        + "\n"
    )
