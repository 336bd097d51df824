"""Tables of scores: the paper's layout, costs, comparisons, networks and heads, and one for any other task."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pipeline.report.compare import correlation
from pipeline.report.format import (
    NUMBERS,
    format_count,
    format_difference,
    format_duration,
    format_interval,
    format_mean_std,
    measure_name,
    view_name,
)
from pipeline.report.html.elements import (
    render_cell,
    render_head,
    render_heads,
    render_row,
    render_table,
)
from pipeline.report.read.kd import group_by_student, lines_of, metrics_of
from pipeline.report.read.results import find_best_methods
from pipeline.report.read.scores import ACCURACY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.report.compare import Comparison, Difference
    from pipeline.report.read.kd import KDScores
    from pipeline.report.read.results import DatasetResults, Duration, Results
    from pipeline.report.read.scores import Entry, MeasurementKey, Summary

# What a task asks, for readers who have not met it; a task that is not here goes by its name.
TASKS = {
    "retrieval": (
        "Which picture goes with this sound (a->v), and which sound with this picture (v->a)? R@k is the share of queries whose "
        "partner is among the first k, median rank where it is found, gallery how many there are to choose from."
    ),
    "continual": (
        "Classes arrive in groups, and after each a new student learns from the set's instances of all classes that have "
        "come. Accuracy is over these classes; average is the mean over these moments."
    ),
    "ranking": (
        "Candidates, each a network and a learning rate, are trained on the set. What counts is whether they come in the same "
        "order as on the whole data: Spearman's rank correlation of the two rows, 1 for the same order."
    ),
    "dropout": "What an audio-visual student still recognises when its sound, or its picture, is withheld.",
    "shuffle": (
        "Does the set hold pairs, or only classes? Students of the set's pairs as they are, and mixed within their class; where "
        "mixing costs nothing, the pairs say no more than the labels. Exchanged: instances that got another partner; where a class "
        "has one instance, there is none to get."
    ),
}


def render_score_table(
    board: DatasetResults, measure: MeasurementKey, metric: str, found: Results
) -> str:
    """The published layout, once per view: rows are IPCs, columns methods, the whole data come last."""
    whole, bodies = board.whole[measure], []
    for view in (view for view in whole.views if view in whole.metrics[metric]):
        label = f'<th scope="rowgroup" colspan="{len(found.methods) + 1}">{_capitalise(view_name(view))} ({escape(view)})</th>'
        rows = [
            _render_score_row(board, measure, metric, view, found.methods, ipc)
            for ipc in found.ipcs
        ]
        last = _render_score(
            metric, whole.metrics[metric][view], f' colspan="{len(found.methods)}"', leads=False
        )
        rows.append(render_row("whole data", [last], ' class="whole fixed"'))
        bodies.append(f'<tbody><tr class="fixed">{label}</tr>{"".join(rows)}</tbody>')
    caption = (
        f"{_capitalise(metric)} in %: mean ± standard deviation over n&nbsp;=&nbsp;{_format_counts(board, measure)} students per cell "
        f"({whole.joint.n} for the whole data), and below it the 95&nbsp;% interval. Bold: the highest mean of a row."
    )
    says = f"{_capitalise(metric)} on {board.dataset}, {measure_name(measure)}"
    return render_table(says, caption, render_heads(["IPC", *found.methods]), "".join(bodies))


def _render_score_row(
    board: DatasetResults,
    measure: MeasurementKey,
    metric: str,
    view: str,
    methods: tuple[str, ...],
    ipc: int,
) -> str:
    leaders = find_best_methods(board, measure, metric, view, methods, ipc)
    summaries = {
        method: board.entry_of(method, ipc, measure).metrics[metric][view] for method in methods
    }
    return render_row(
        str(ipc),
        [_render_score(metric, x, "", leads=method in leaders) for method, x in summaries.items()],
    )


def _render_score(metric: str, summary: Summary, attributes: str, *, leads: bool) -> str:
    text, ends = format_mean_std(metric, summary), format_interval(metric, summary, "&ndash;")
    title = (
        f"95 % interval {format_interval(metric, summary, ' to ')}, n = {summary.n}"
        if ends
        else f"n = {summary.n}"
    )
    shown = f"<strong>{text}</strong>" if leads else text
    below = f"<small>{ends}</small>" if ends else ""
    return render_cell(f"{shown}{below}", summary.mean, f'{attributes} title="{title}"')


def _format_counts(board: DatasetResults, measure: MeasurementKey) -> str:
    return " or ".join(
        str(n) for n in sorted({own.entries[measure].joint.n for own in board.cells.values()})
    )


def render_cost_table(board: DatasetResults) -> str:
    """What a cell costs: bytes to send, seconds to make and to use."""
    rows = [
        render_row(
            own.method,
            [
                render_cell(str(own.ipc)),
                render_cell(
                    format_count(round(own.bytes / 1000, 1)),
                    own.bytes,
                    f' title="{format_count(own.bytes)} bytes"',
                ),
                _render_duration(own.distilling),
                _render_duration(own.scoring),
            ],
        )
        for own in board.cells.values()
    ]
    last = render_row(
        "whole data",
        [render_cell(""), render_cell(""), render_cell(""), _render_duration(board.scoring)],
        ' class="whole"',
    )
    bank = (
        render_row(
            "bank of experts",
            [render_cell(""), render_cell(""), _render_duration(board.schooling), render_cell("")],
        )
        if board.schooling
        else ""
    )
    place = f"<code>{escape(board.dataset)}/&lt;method&gt;/ipc&lt;IPC&gt;/published/</code>"
    caption = (
        f"Size of one artifact in kB (1000 bytes), as evaluated; the published ones lie in {place}. Distilling: all seeds and what "
        "was tried before choosing; a bank of experts is trained once for all cells whose methods work with it. "
        "Scoring: every training and test of students behind this page's numbers."
    )
    columns = render_heads(["method", "IPC", "kB", "distilling", "scoring"])
    return render_table(
        f"Costs on {board.dataset}",
        caption,
        columns,
        f"<tbody>{''.join(rows)}</tbody><tfoot>{bank}{last}</tfoot>",
    )


def _render_duration(clock: Duration | None) -> str:
    if clock is None:
        return render_cell("not known")
    return render_cell(
        format_duration(clock.seconds),
        clock.seconds,
        f' title="on {escape(clock.device)}, {clock.threads} workers"',
    )


def render_comparison_table(
    board: DatasetResults, found: Results, rows: Sequence[Comparison]
) -> str:
    """Every cell against the baseline, the whole data and the random choice."""
    lines = [
        render_row(
            x.method,
            [
                render_cell(str(x.ipc)),
                render_cell(f"{100 * x.accuracy:.1f}", x.accuracy),
                _render_difference(x.difference),
                render_cell(f"{x.hlr:.3f}".replace("-", "\N{MINUS SIGN}"), x.hlr),
                *(
                    []
                    if x.ior is None
                    else [render_cell(f"{x.ior:+.3f}".replace("-", "\N{MINUS SIGN}"), x.ior)]
                ),
            ],
        )
        for x in rows
    ]
    ior = rows[0].ior is not None
    caption = (
        f"Accuracy in %, {escape(view_name(board.whole[found.headline].views[0]))}. Difference to {escape(found.baseline)} at the "
        "same IPC in percentage points, with a paired 95&nbsp;% bootstrap interval: the same test clips are drawn for both rows; "
        "bold where it leaves out zero. "
        "HLR: how far below the whole data (less is better)"
        + ("; IOR: how far above the random choice" if ior else "")
        + "; "
        "both are fractions, as DD-Ranking defines them."
    )
    columns = [
        "method",
        "IPC",
        "accuracy",
        f"minus {found.baseline}",
        "HLR",
        *(["IOR"] if ior else []),
    ]
    return render_table(
        f"Comparison on {board.dataset}",
        caption,
        render_heads(columns),
        f"<tbody>{''.join(lines)}</tbody>",
    )


def _render_difference(found: Difference | None) -> str:
    if found is None:
        return render_cell("baseline", 0.0)
    decided = found.low > 0 or found.high < 0
    text = (
        f"<strong>{format_difference(found.mean)}</strong>"
        if decided
        else format_difference(found.mean)
    )
    ends = f"{format_difference(found.low)} to {format_difference(found.high)}"
    return render_cell(f"{text}<small>{ends}</small>", found.mean, f' title="95 % interval {ends}"')


def render_ablation_table(
    board: DatasetResults, found: Results, standings: Sequence[Comparison]
) -> str:
    """Methods in the grid's order, each with its step from the one before."""
    of = {(x.method, x.ipc): x for x in standings}
    lines = []
    for method in found.methods:
        cells = []
        for x in (of[method, ipc] for ipc in found.ipcs):
            step = "" if x.step is None else f"<small>{format_difference(x.step)}</small>"
            cells.append(render_cell(f"{100 * x.accuracy:.1f}{step}", x.accuracy))
        lines.append(render_row(method, cells))
    caption = (
        "Accuracy in %, and below it what a row adds to the row before it, in percentage points. The rows stand in the order of "
        "the grid, so they read as an ablation where each method adds one thing to the one above."
    )
    columns = render_heads(["method", *(f"IPC {ipc}" for ipc in found.ipcs)])
    return render_table(
        f"Ablation on {board.dataset}",
        caption,
        columns,
        f"<tbody>{''.join(lines)}</tbody>",
        kind="plain",
    )


def render_choice_table(
    board: DatasetResults, found: Results, field: str, measures: Sequence[MeasurementKey]
) -> str:
    """The headline with other networks, or other heads: rows are cells, columns what differs."""
    names = [str(getattr(measure, field)) for measure in measures]

    def render_cells(entries: Sequence[Entry]) -> list[str]:
        return [_render_score(ACCURACY, entry.joint, "", leads=False) for entry in entries]

    lines = [
        render_row(
            own.method,
            [
                render_cell(str(own.ipc)),
                *render_cells([own.entries[measure] for measure in measures]),
            ],
        )
        for own in board.cells.values()
    ]
    last = render_row(
        "whole data",
        [render_cell(""), *render_cells([board.whole[measure] for measure in measures])],
        ' class="whole"',
    )
    view = _capitalise(view_name(board.whole[found.headline].views[0]))
    caption = f"{view} accuracy in % under protocol <code>{escape(measures[0].protocol)}</code>, one column for each {field}."
    columns = render_heads(["method", "IPC", *names])
    says = f"Accuracy with every {field} on {board.dataset}"
    return render_table(
        says, caption, columns, f"<tbody>{''.join(lines)}</tbody><tfoot>{last}</tfoot>"
    )


def render_task_table(board: DatasetResults, measure: MeasurementKey) -> str:
    """Any task: rows are cells, columns the views of each metric; a ranking gets its correlation."""
    whole = board.whole[measure]
    places = [(metric, view) for metric, views in whole.metrics.items() for view in views]
    ranks = measure.task == "ranking"
    groups = "".join(
        f'<th scope="colgroup" colspan="{len(views)}">{escape(m)}</th>'
        for m, views in whole.metrics.items()
    )
    top = render_head("method", 0, ' rowspan="2"') + render_head("IPC", 1, ' rowspan="2"') + groups
    top += render_head("Spearman", 2 + len(places), ' rowspan="2"') if ranks else ""
    second = "".join(render_head(view, 2 + i) for i, (_, view) in enumerate(places))

    def render_line(name: str, ipc: str, entry: Entry, attributes: str = "") -> str:
        cells = [
            _render_score(metric, entry.metrics[metric][view], "", leads=False)
            for metric, view in places
        ]
        if ranks:
            cells.append(_render_correlation(None if entry is whole else correlation(entry, whole)))
        return render_row(name, [render_cell(ipc), *cells], attributes)

    lines = [
        render_line(own.method, str(own.ipc), own.entries[measure]) for own in board.cells.values()
    ]
    last = render_line("whole data", "", whole, ' class="whole"')
    plain = " and ".join(metric for metric in whole.metrics if metric in NUMBERS)
    units = f"In %, but {plain} in plain numbers" if plain else "In %"
    caption = f"{escape(TASKS.get(measure.task, ''))} {escape(units)}; {escape(measure_name(measure))}.".strip()
    says = f"Task {measure.task} on {board.dataset}, {measure_name(measure)}"
    rows = f"<tbody>{''.join(lines)}</tbody><tfoot>{last}</tfoot>"
    return render_table(says, caption, f"<tr>{top}</tr><tr>{second}</tr>", rows)


def render_kd_tables(board: DatasetResults) -> str:
    """Students with a teacher: one table for each kind of student, rows grouped by training set."""
    return "".join(
        _render_kd_table(board.dataset, student, sets)
        for student, sets in group_by_student(board.taught).items()
    )


def _render_kd_table(dataset: str, student: str, sets: Mapping[str, Sequence[KDScores]]) -> str:
    metrics, bodies = metrics_of(sets), []
    for name, methods in sets.items():
        told = f"{escape(name)}: {methods[0].rows} training rows"
        label = (
            f'<tr class="fixed"><th scope="rowgroup" colspan="{len(metrics) + 1}">{told}</th></tr>'
        )
        rows = [
            render_row(
                called,
                [
                    _render_kd_score(metric, one.metrics.get(metric, {}).get(key))
                    for metric in metrics
                ],
            )
            for called, one, key in lines_of(methods)
        ]
        rows += [
            render_row(
                called,
                [render_cell(escape(needs), None, f' colspan="{len(metrics)}"')],
                ' class="fixed"',
            )
            for called, needs in methods[0].not_run.items()
        ]
        bodies.append(f"<tbody>{label}{''.join(rows)}</tbody>")
    caption = (
        f"Students {escape(student)}: mean ± standard deviation over seeds, in %, and below it the 95&nbsp;% interval over test "
        "clips; R@k and mAP are of test clips among all training clips. A name with + is the mean of the student's prediction and "
        "the teacher's; rows without a method's name have no student in them."
    )
    return render_table(
        f"Students {student} on {dataset}",
        caption,
        render_heads(["method", *metrics]),
        "".join(bodies),
    )


def _render_kd_score(metric: str, summary: Summary | None) -> str:
    return (
        render_cell("&ndash;")
        if summary is None
        else _render_score(metric, summary, "", leads=False)
    )


def _render_correlation(value: float | None) -> str:
    return (
        render_cell("&ndash;")
        if value is None
        else render_cell(f"{value:.2f}".replace("-", "\N{MINUS SIGN}"), value)
    )


def _capitalise(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
