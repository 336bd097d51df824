"""Tables as plain data, which the page and the texts beside it lay out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.compare import compare_methods
from pipeline.report.format import (
    VIEWS,
    format_count,
    format_difference,
    format_duration,
    format_interval,
    format_mean_std,
    format_number,
    measure_name,
)
from pipeline.report.read.kd import group_by_student, iterate_rows, list_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.report.compare import Comparison, Difference
    from pipeline.report.read.kd import KDScores
    from pipeline.report.read.results import DatasetResults, Duration, Results
    from pipeline.report.read.scores import Entry, MeasurementKey, Summary

WHOLE = "whole data"
# More classes than this are a list of confused pairs; so many of them.
MAX_CLASSES, MAX_PAIRS = 20, 12


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: the score.
        value: the number that the column is sorted by; None sorts by the text.
        interval: the two ends of its interval, None without one.
        note: a small line below it.
        title: shown on hovering.
        bold: whether it is the best of its row, or significant.
        span: columns that it fills.
        css: a class of the style sheet.
    """

    text: str = ""
    value: float | None = None
    interval: tuple[str, str] | None = None
    note: str = ""
    title: str = ""
    bold: bool = False
    span: int = 1
    css: str = ""


class Row(NamedTuple):
    """A row with its head; CSS class `fixed` keeps its place when the table is sorted."""

    head: str
    cells: Sequence[Cell]
    css: str = ""


class Group(NamedTuple):
    """Rows under a common name, which the page spells out as a heading."""

    rows: Sequence[Row]
    name: str = ""
    heading: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Args:
        title: names it for those who do not see the page around it.
        columns: heads, that of the rows included.
        groups: its rows.
        foot: rows that stay last, such as the whole data.
        over: (name, number of columns) heads over those columns that follow the method and IPC.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[Group]
    foot: Sequence[Row] = ()
    over: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, kw_only=True)
class TableBuilder:
    """Builds the tables of one dataset.

    Args:
        dataset: whose scores.
        results: the grid, the settings and the texts.
    """

    dataset: DatasetResults
    results: Results

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every cell beside the other rows at its IPC."""
        return compare_methods(self.dataset, self.results)

    @property
    def metric(self) -> str:
        """The name of the headline's metric."""
        measure = self.results.headline
        return self.results.title_of(measure, self.dataset.whole[measure].headline)

    def build_scores(self, measure: MeasurementKey, metric: str) -> Table:
        """Return the published layout: a group per view, rows are IPCs, columns methods.

        Args:
            measure: which entries.
            metric: one of the headline task's.
        """
        results, whole, groups = self.results, self.dataset.whole[measure], []
        for view in (view for view in whole.views if view in whole.metrics[metric]):
            rows = []
            for ipc in results.ipcs:
                best = results.find_best(self.dataset, measure, metric, view, ipc)
                cells = [
                    _make_score(entry.metrics[metric][view], bold=method in best)
                    for method in results.methods
                    for entry in [self.dataset.entry_of(method, ipc, measure)]
                ]
                rows.append(Row(str(ipc), cells))
            last = _make_score(whole.metrics[metric][view], span=len(results.methods))
            heading = f"{VIEWS[view].capitalize()} ({view})" if view in VIEWS else view
            groups.append(Group([*rows, Row(WHOLE, [last], "whole fixed")], view, heading))
        name = results.title_of(measure, metric)
        title = f"{name} on {self.dataset.dataset}, {measure_name(measure)}"
        return Table(title=title, columns=["IPC", *results.methods], groups=groups)

    def build_comparison(self) -> Table:
        """Return every cell beside the baseline, the whole data and the random selection."""
        rows, has_ior = [], self.comparisons[0].ior is not None
        for x in self.comparisons:
            accuracy = Cell(format_number(100 * x.mean, 1), x.mean)
            gaps = [Cell(format_number(x.hlr, 3), x.hlr)]
            if x.ior is not None:
                gaps.append(Cell(format_number(x.ior, 3, "+"), x.ior))
            rows.append(
                Row(x.method, [Cell(str(x.ipc)), accuracy, _make_difference(x.difference), *gaps])
            )
        minus, gap_names = f"minus {self.results.settings.baseline}", ["HLR", "IOR"][: 1 + has_ior]
        return Table(
            title=f"Comparison on {self.dataset.dataset}",
            columns=["method", "IPC", self.metric, minus, *gap_names],
            groups=[Group(rows)],
        )

    def build_costs(self) -> Table:
        """Return what a cell costs: bytes to send, seconds to make and to use."""
        rows = []
        for cell in self.dataset.cells.values():
            size, kilobytes = f"{format_count(cell.bytes)} bytes", round(cell.bytes / 1000, 1)
            stored = Cell(format_count(kilobytes), cell.bytes, title=size)
            times = [_make_duration(cell.distilling), _make_duration(cell.scoring)]
            rows.append(Row(cell.method, [Cell(str(cell.ipc)), stored, *times]))
        blank, bank = Cell(), self.dataset.expert_training
        experts = Row("bank of experts", [blank, blank, _make_duration(bank), blank])
        last = Row(WHOLE, [blank, blank, blank, _make_duration(self.dataset.scoring)], "whole")
        return Table(
            title=f"Costs on {self.dataset.dataset}",
            columns=["method", "IPC", "kB", "distilling", "scoring"],
            groups=[Group(rows)],
            foot=[experts, last] if bank else [last],
        )

    def build_steps(self) -> Table:
        """Return the methods in the grid's order, each with its step from the one before."""
        cells: dict[str, list[Cell]] = {method: [] for method in self.results.methods}
        for x in self.comparisons:
            note = "" if x.step is None else format_difference(x.step)
            cells[x.method].append(Cell(format_number(100 * x.mean, 1), x.mean, note=note))
        return Table(
            title=f"Ablation on {self.dataset.dataset}",
            columns=["method", *(f"IPC {ipc}" for ipc in self.results.ipcs)],
            groups=[Group([Row(method, row) for method, row in cells.items()])],
        )

    def build_choices(self) -> list[tuple[str, Table]]:
        """Return (network or head, table) of entries that differ from the headline in it alone."""
        tables, headline = [], self.results.headline
        for field in ("network", "head"):
            measures = [
                measure
                for measure in self.results.headline_measures
                if measure._replace(**{field: ""}) == headline._replace(**{field: ""})
            ]
            if len(measures) > 1:
                rows = [
                    Row(x.method, [Cell(str(x.ipc)), *_make_joint_scores(x.entries, measures)])
                    for x in self.dataset.cells.values()
                ]
                last = [Cell(), *_make_joint_scores(self.dataset.whole, measures)]
                table = Table(
                    title=f"{self.metric} with every {field} on {self.dataset.dataset}",
                    columns=["method", "IPC", *(getattr(x, field) for x in measures)],
                    groups=[Group(rows)],
                    foot=[Row(WHOLE, last, "whole")],
                )
                tables.append((field, table))
        return tables

    def build_task(self, measure: MeasurementKey) -> Table:
        """Return any task's scores, and the columns that the task computes from them.

        Args:
            measure: which entries.
        """
        whole = self.dataset.whole[measure]
        compare = self.results.texts.get_task(measure.task).compare
        names = list(compare(whole.means, whole.means)) if compare else []

        def make_row(head: str, ipc: str, entry: Entry, css: str = "") -> Row:
            scores = [_make_score(entry.metrics[metric][view]) for metric, view in whole.columns]
            more = compare(entry.means, whole.means) if compare and entry is not whole else {}
            return Row(head, [Cell(ipc), *scores, *(_make_number(more.get(n)) for n in names)], css)

        rows = [
            make_row(cell.method, str(cell.ipc), cell.entries[measure])
            for cell in self.dataset.cells.values()
        ]
        return Table(
            title=f"Task {measure.task} on {self.dataset.dataset}, {measure_name(measure)}",
            columns=["method", "IPC", *(view for _, view in whole.columns), *names],
            groups=[Group(rows)],
            foot=[make_row(WHOLE, "", whole, "whole")],
            over=[(self.results.title_of(measure, m), len(v)) for m, v in whole.metrics.items()],
        )

    def build_confusions(self) -> dict[str, Table | list[str]]:
        """Return the matrices of the best method at the largest IPC and of the whole data.

        They show the joint view. Many classes have a list of the most confused pairs instead.
        """
        ipc, whole = self.results.ipcs[-1], self.dataset.whole[self.results.headline]
        choice = (self.results.headline, whole.headline, whole.views[0], ipc)
        best = self.results.find_best(self.dataset, *choice)[0]
        entry = self.dataset.entry_of(best, ipc, self.results.headline)
        matrices: dict[str, Table | list[str]] = {}
        for name, counts in ((f"{best}, IPC {ipc}", entry.confusion), (WHOLE, whole.confusion)):
            title = f"Confusions on {self.dataset.dataset}, {name}"
            many = len(self.dataset.classes) > MAX_CLASSES
            rows, classes = counts[whole.views[0]], self.dataset.classes
            matrices[name] = (
                _list_pairs(rows, classes) if many else _make_matrix(title, rows, classes)
            )
        return matrices

    def build_kd(self) -> dict[str, Table]:
        """Return student -> table, rows grouped by training set."""
        return {
            student: _build_student(f"Students {student} on {self.dataset.dataset}", sets)
            for student, sets in group_by_student(self.dataset.kd).items()
        }


def _make_matrix(title: str, counts: list[list[int]], classes: Sequence[str]) -> Table:
    rows = []
    for true, row in enumerate(counts):
        cells, total = [], sum(row)
        for predicted, count in enumerate(row):
            share = count / total if total else 0.0
            css = f"h{min(round(9 * share), 9)}{' right' if predicted == true else ''}"
            hover = f"{classes[true]} predicted as {classes[predicted]}: {count} of {total}"
            cells.append(Cell(f"{100 * share:.0f}", title=hover, css=css))
        rows.append(Row(classes[true], cells))
    return Table(title=title, columns=[r"true \ predicted", *classes], groups=[Group(rows)])


def _list_pairs(counts: list[list[int]], classes: Sequence[str]) -> list[str]:
    pairs = [
        (count / sum(row), true, predicted, count, sum(row))
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if predicted != true and count
    ]
    first = sorted(pairs, key=lambda pair: (-pair[0], pair[1:3]))[:MAX_PAIRS]
    return [
        f"{classes[true]} predicted as {classes[predicted]}: "
        f"{100 * share:.0f} % ({count} of {total})"
        for share, true, predicted, count, total in first
    ]


def _build_student(title: str, sets: Mapping[str, Sequence[KDScores]]) -> Table:
    metrics, groups = list_metrics(sets), []
    for train_set, methods in sets.items():
        rows = []
        for name, scores, key in iterate_rows(methods):
            summaries = (scores.metrics.get(metric, {}).get(key) for metric in metrics)
            rows.append(Row(name, [_make_score(x) if x else Cell("–") for x in summaries]))
        for name, needs in methods[0].not_run.items():
            rows.append(Row(name, [Cell(needs, span=len(metrics))], "fixed"))
        heading = f"{train_set}: {methods[0].rows} training rows"
        groups.append(Group(rows, train_set, heading))
    return Table(title=title, columns=["method", *metrics], groups=groups)


def _make_score(summary: Summary, *, bold: bool = False, span: int = 1) -> Cell:
    interval, title = format_interval(summary), f"n = {summary.n}"
    if interval:
        title = f"95 % interval {' to '.join(interval)}, {title}"
    text = format_mean_std(summary)
    return Cell(text, summary.mean, interval, title=title, bold=bold, span=span)


def _make_joint_scores(
    entries: Mapping[MeasurementKey, Entry], measures: Sequence[MeasurementKey]
) -> list[Cell]:
    return [_make_score(entries[measure].joint) for measure in measures]


def _make_difference(difference: Difference | None) -> Cell:
    """Return a difference, bold where its interval excludes zero."""
    if difference is None:
        return Cell("baseline", 0.0)
    mean, *ends = map(format_difference, (difference.mean, difference.low, difference.high))
    title = f"95 % interval {' to '.join(ends)}"
    bold = difference.low > 0 or difference.high < 0
    return Cell(mean, difference.mean, (ends[0], ends[1]), title=title, bold=bold)


def _make_duration(duration: Duration | None) -> Cell:
    if duration is None:
        return Cell("not known")
    title = f"on {duration.device}, {duration.threads} workers"
    return Cell(format_duration(duration.seconds), duration.seconds, title=title)


def _make_number(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_number(value, 2), value)
