"""Tables of scores: the paper's layout, costs, comparisons, networks and heads, and one for any other task."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pipeline.core.scores import NUMBERS
from pipeline.report.compare import correlation
from pipeline.report.format import count, interval, measure_name, signed, spread, time, view_name
from pipeline.report.html.elements import cell, head, heads, row, table
from pipeline.report.read.kd import by_student, lines_of, metrics_of
from pipeline.report.read.results import best
from pipeline.report.read.scores import ACCURACY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.report.compare import Difference, Standing
    from pipeline.report.read.kd import Taught
    from pipeline.report.read.results import Board, Results, Seconds
    from pipeline.report.read.scores import Entry, Measure, Summary

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


def score_table(board: Board, measure: Measure, metric: str, found: Results) -> str:
    """The published layout, once per view: rows are IPCs, columns methods, the whole data come last."""
    whole, bodies = board.whole[measure], []
    for view in (view for view in whole.views if view in whole.metrics[metric]):
        label = f'<th scope="rowgroup" colspan="{len(found.methods) + 1}">{_titled(view_name(view))} ({escape(view)})</th>'
        rows = [_score_row(board, measure, metric, view, found.methods, ipc) for ipc in found.ipcs]
        last = _score(
            metric, whole.metrics[metric][view], f' colspan="{len(found.methods)}"', leads=False
        )
        rows.append(row("whole data", [last], ' class="whole fixed"'))
        bodies.append(f'<tbody><tr class="fixed">{label}</tr>{"".join(rows)}</tbody>')
    caption = (
        f"{_titled(metric)} in %: mean ± standard deviation over n&nbsp;=&nbsp;{_counts(board, measure)} students per cell "
        f"({whole.joint.n} for the whole data), and below it the 95&nbsp;% interval. Bold: the highest mean of a row."
    )
    says = f"{_titled(metric)} on {board.dataset}, {measure_name(measure)}"
    return table(says, caption, heads(["IPC", *found.methods]), "".join(bodies))


def _score_row(
    board: Board, measure: Measure, metric: str, view: str, methods: tuple[str, ...], ipc: int
) -> str:
    leaders = best(board, measure, metric, view, methods, ipc)
    summaries = {
        method: board.row(method, ipc, measure).metrics[metric][view] for method in methods
    }
    return row(
        str(ipc),
        [_score(metric, x, "", leads=method in leaders) for method, x in summaries.items()],
    )


def _score(metric: str, summary: Summary, attributes: str, *, leads: bool) -> str:
    text, ends = spread(metric, summary), interval(metric, summary, "&ndash;")
    title = (
        f"95 % interval {interval(metric, summary, ' to ')}, n = {summary.n}"
        if ends
        else f"n = {summary.n}"
    )
    shown = f"<strong>{text}</strong>" if leads else text
    below = f"<small>{ends}</small>" if ends else ""
    return cell(f"{shown}{below}", summary.mean, f'{attributes} title="{title}"')


def _counts(board: Board, measure: Measure) -> str:
    return " or ".join(
        str(n) for n in sorted({own.entries[measure].joint.n for own in board.cells.values()})
    )


def cost_table(board: Board) -> str:
    """What a cell costs: bytes to send, seconds to make and to use."""
    rows = [
        row(
            own.method,
            [
                cell(str(own.ipc)),
                cell(
                    count(round(own.bytes / 1000, 1)),
                    own.bytes,
                    f' title="{count(own.bytes)} bytes"',
                ),
                _clock(own.distilling),
                _clock(own.scoring),
            ],
        )
        for own in board.cells.values()
    ]
    last = row(
        "whole data", [cell(""), cell(""), cell(""), _clock(board.scoring)], ' class="whole"'
    )
    bank = (
        row("bank of experts", [cell(""), cell(""), _clock(board.schooling), cell("")])
        if board.schooling
        else ""
    )
    place = f"<code>{escape(board.dataset)}/&lt;method&gt;/ipc&lt;IPC&gt;/published/</code>"
    caption = (
        f"Size of one artifact in kB (1000 bytes), as evaluated; the published ones lie in {place}. Distilling: all seeds and what "
        "was tried before choosing; a bank of experts is trained once for all cells whose methods work with it. "
        "Scoring: every training and test of students behind this page's numbers."
    )
    columns = heads(["method", "IPC", "kB", "distilling", "scoring"])
    return table(
        f"Costs on {board.dataset}",
        caption,
        columns,
        f"<tbody>{''.join(rows)}</tbody><tfoot>{bank}{last}</tfoot>",
    )


def _clock(clock: Seconds | None) -> str:
    if clock is None:
        return cell("not known")
    return cell(
        time(clock.seconds),
        clock.seconds,
        f' title="on {escape(clock.device)}, {clock.threads} workers"',
    )


def standing_table(board: Board, found: Results, rows: Sequence[Standing]) -> str:
    """Every cell against the baseline, the whole data and the random choice."""
    lines = [
        row(
            x.method,
            [
                cell(str(x.ipc)),
                cell(f"{100 * x.accuracy:.1f}", x.accuracy),
                _difference(x.difference),
                cell(f"{x.hlr:.3f}".replace("-", "\N{MINUS SIGN}"), x.hlr),
                *(
                    []
                    if x.ior is None
                    else [cell(f"{x.ior:+.3f}".replace("-", "\N{MINUS SIGN}"), x.ior)]
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
    return table(
        f"Comparison on {board.dataset}",
        caption,
        heads(columns),
        f"<tbody>{''.join(lines)}</tbody>",
    )


def _difference(found: Difference | None) -> str:
    if found is None:
        return cell("baseline", 0.0)
    decided = found.low > 0 or found.high < 0
    text = f"<strong>{signed(found.mean)}</strong>" if decided else signed(found.mean)
    ends = f"{signed(found.low)} to {signed(found.high)}"
    return cell(f"{text}<small>{ends}</small>", found.mean, f' title="95 % interval {ends}"')


def ablation_table(board: Board, found: Results, standings: Sequence[Standing]) -> str:
    """Methods in the grid's order, each with its step from the one before."""
    of = {(x.method, x.ipc): x for x in standings}
    lines = []
    for method in found.methods:
        cells = []
        for x in (of[method, ipc] for ipc in found.ipcs):
            step = "" if x.step is None else f"<small>{signed(x.step)}</small>"
            cells.append(cell(f"{100 * x.accuracy:.1f}{step}", x.accuracy))
        lines.append(row(method, cells))
    caption = (
        "Accuracy in %, and below it what a row adds to the row before it, in percentage points. The rows stand in the order of "
        "the grid, so they read as an ablation where each method adds one thing to the one above."
    )
    columns = heads(["method", *(f"IPC {ipc}" for ipc in found.ipcs)])
    return table(
        f"Ablation on {board.dataset}",
        caption,
        columns,
        f"<tbody>{''.join(lines)}</tbody>",
        kind="plain",
    )


def choice_table(board: Board, found: Results, field: str, measures: Sequence[Measure]) -> str:
    """The headline with other networks, or other heads: rows are cells, columns what differs."""
    names = [str(getattr(measure, field)) for measure in measures]

    def cells(entries: Sequence[Entry]) -> list[str]:
        return [_score(ACCURACY, entry.joint, "", leads=False) for entry in entries]

    lines = [
        row(
            own.method, [cell(str(own.ipc)), *cells([own.entries[measure] for measure in measures])]
        )
        for own in board.cells.values()
    ]
    last = row(
        "whole data",
        [cell(""), *cells([board.whole[measure] for measure in measures])],
        ' class="whole"',
    )
    view = _titled(view_name(board.whole[found.headline].views[0]))
    caption = f"{view} accuracy in % under protocol <code>{escape(measures[0].protocol)}</code>, one column for each {field}."
    columns = heads(["method", "IPC", *names])
    says = f"Accuracy with every {field} on {board.dataset}"
    return table(says, caption, columns, f"<tbody>{''.join(lines)}</tbody><tfoot>{last}</tfoot>")


def task_table(board: Board, measure: Measure) -> str:
    """Any task: rows are cells, columns the views of each metric; a ranking gets its correlation."""
    whole = board.whole[measure]
    places = [(metric, view) for metric, views in whole.metrics.items() for view in views]
    ranks = measure.task == "ranking"
    groups = "".join(
        f'<th scope="colgroup" colspan="{len(views)}">{escape(m)}</th>'
        for m, views in whole.metrics.items()
    )
    top = head("method", 0, ' rowspan="2"') + head("IPC", 1, ' rowspan="2"') + groups
    top += head("Spearman", 2 + len(places), ' rowspan="2"') if ranks else ""
    second = "".join(head(view, 2 + i) for i, (_, view) in enumerate(places))

    def line(name: str, ipc: str, entry: Entry, attributes: str = "") -> str:
        cells = [
            _score(metric, entry.metrics[metric][view], "", leads=False) for metric, view in places
        ]
        if ranks:
            cells.append(_correlation(None if entry is whole else correlation(entry, whole)))
        return row(name, [cell(ipc), *cells], attributes)

    lines = [line(own.method, str(own.ipc), own.entries[measure]) for own in board.cells.values()]
    last = line("whole data", "", whole, ' class="whole"')
    plain = " and ".join(metric for metric in whole.metrics if metric in NUMBERS)
    units = f"In %, but {plain} in plain numbers" if plain else "In %"
    caption = f"{escape(TASKS.get(measure.task, ''))} {escape(units)}; {escape(measure_name(measure))}.".strip()
    says = f"Task {measure.task} on {board.dataset}, {measure_name(measure)}"
    rows = f"<tbody>{''.join(lines)}</tbody><tfoot>{last}</tfoot>"
    return table(says, caption, f"<tr>{top}</tr><tr>{second}</tr>", rows)


def taught_tables(board: Board) -> str:
    """Students with a teacher: one table for each kind of student, rows grouped by training set."""
    return "".join(
        _taught_table(board.dataset, student, sets)
        for student, sets in by_student(board.taught).items()
    )


def _taught_table(dataset: str, student: str, sets: Mapping[str, Sequence[Taught]]) -> str:
    metrics, bodies = metrics_of(sets), []
    for name, methods in sets.items():
        told = f"{escape(name)}: {methods[0].rows} training rows"
        label = (
            f'<tr class="fixed"><th scope="rowgroup" colspan="{len(metrics) + 1}">{told}</th></tr>'
        )
        rows = [
            row(
                called,
                [_taught_score(metric, one.metrics.get(metric, {}).get(key)) for metric in metrics],
            )
            for called, one, key in lines_of(methods)
        ]
        rows += [
            row(called, [cell(escape(needs), None, f' colspan="{len(metrics)}"')], ' class="fixed"')
            for called, needs in methods[0].not_run.items()
        ]
        bodies.append(f"<tbody>{label}{''.join(rows)}</tbody>")
    caption = (
        f"Students {escape(student)}: mean ± standard deviation over seeds, in %, and below it the 95&nbsp;% interval over test "
        "clips; R@k and mAP are of test clips among all training clips. A name with + is the mean of the student's prediction and "
        "the teacher's; rows without a method's name have no student in them."
    )
    return table(
        f"Students {student} on {dataset}", caption, heads(["method", *metrics]), "".join(bodies)
    )


def _taught_score(metric: str, summary: Summary | None) -> str:
    return cell("&ndash;") if summary is None else _score(metric, summary, "", leads=False)


def _correlation(value: float | None) -> str:
    return (
        cell("&ndash;")
        if value is None
        else cell(f"{value:.2f}".replace("-", "\N{MINUS SIGN}"), value)
    )


def _titled(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
