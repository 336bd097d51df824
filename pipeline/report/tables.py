"""Tables of one dataset's scores: rows are methods or IPCs, and the whole data stand last."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from pipeline.report.cells import (
    DASH,
    WHOLE,
    Cell,
    Group,
    Row,
    Table,
    make_difference,
    make_duration,
    make_number,
    make_score,
)
from pipeline.report.compare import compare_methods
from pipeline.report.format import (
    VIEWS,
    format_count,
    format_difference,
    format_number,
    measure_name,
)
from pipeline.report.read.kd import group_by_student, iterate_rows, list_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipeline.report.compare import Comparison
    from pipeline.report.read.kd import KDScores
    from pipeline.report.read.results import CellResult, DatasetResults, Results
    from pipeline.report.read.scores import Entry, MeasurementKey

UPPER_BOUND = "Whole data (upper bound)"


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
    def comparisons(self) -> dict[tuple[str, int], Comparison]:
        """Every cell beside the other rows at its IPC."""
        return {(x.method, x.ipc): x for x in compare_methods(self.dataset, self.results)}

    @property
    def metric(self) -> str:
        """The name of the headline's metric."""
        measure = self.results.headline
        return self.results.title_of(measure, self.dataset.whole[measure].headline)

    @property
    def spelt(self) -> dict[str, str]:
        """Method -> its name, spelt out."""
        texts = self.results.texts
        return {method: texts.get_method(method).title for method in self.results.methods}

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
                cells = []
                for method in results.methods:
                    cell = self.dataset.cells.get((method, ipc))
                    scores = cell.entries[measure].metrics[metric][view] if cell else None
                    bold = method in best
                    cells.append(make_score(scores, bold=bold) if scores else Cell(DASH))
                rows.append(Row(str(ipc), cells))
            heading = f"{VIEWS[view].capitalize()} ({view})" if view in VIEWS else view
            line = UPPER_BOUND, make_score(whole.metrics[metric][view])
            groups.append(Group(rows, view, heading, line))
        higher = results.texts.get_metric(measure.task, metric).higher_is_better
        return Table(
            title=f"{results.title_of(measure, metric)} on {self.dataset.dataset}, "
            f"{measure_name(measure)}",
            columns=["IPC", *results.methods],
            groups=groups,
            notes=self.dataset.list_skipped(),
            descending=range(1, 1 + len(results.methods)) if higher else (),
            spelt=self.spelt,
        )

    def split_metrics(self, measure: MeasurementKey) -> tuple[list[str], list[str]]:
        """Return the metrics that say something, and sentences on those that say nothing.

        Args:
            measure: which entries.
        """
        empty, whole = self.find_empty(measure), self.dataset.whole[measure]
        shown = [
            metric
            for metric, views in whole.metrics.items()
            if metric == whole.headline or any((metric, view) not in empty for view in views)
        ]
        hidden = {key: why for key, why in empty.items() if key[0] not in shown}
        return shown, self.results.explain_empty(measure, hidden)

    def describe_chance(self, measure: MeasurementKey, metric: str) -> str:
        """Return a sentence with the score of guessing, empty for a metric of no class.

        Args:
            measure: which entries.
            metric: one of them.
        """
        guesses = self.results.texts.get_metric(measure.task, metric).guesses
        share = guesses / len(self.dataset.classes)
        return f"Chance: {100 * share:.1f} %." if 0 < share < 1 else ""

    def build_comparison(self) -> Table:
        """Return every cell beside the baseline, the whole data and the random selection."""
        has_ior = any(x.ior is not None for x in self.comparisons.values())
        baseline = self.results.settings.baseline

        def make_cells(cell: CellResult) -> list[Cell]:
            x = self.comparisons[cell.method, cell.ipc]
            accuracy = Cell(format_number(100 * x.mean, 1), x.mean)
            difference = make_difference(x.difference, baseline=x.method == baseline)
            gap = Cell(format_number(x.hlr, 3), x.hlr)
            ior = Cell(DASH) if x.ior is None else Cell(format_number(x.ior, 3, "+"), x.ior)
            return [accuracy, difference, gap, *([ior] if has_ior else [])]

        gaps = ["HLR", "IOR"][: 1 + has_ior]
        return Table(
            title=f"Comparison on {self.dataset.dataset}",
            columns=["method", "IPC", self.metric, f"minus {baseline}", *gaps],
            groups=[Group(self._make_rows(make_cells, 2 + len(gaps)))],
            descending=(2, 3, 5) if self._is_higher_better(self.results.headline) else (),
            spelt=self.spelt,
        )

    def build_costs(self) -> Table:
        """Return what a cell costs: bytes to send, seconds to make and to use."""

        def make_cells(cell: CellResult) -> list[Cell]:
            size, kilobytes = f"{format_count(cell.bytes)} bytes", round(cell.bytes / 1000, 1)
            stored = Cell(format_count(kilobytes), cell.bytes, title=size)
            return [stored, make_duration(cell.distilling), make_duration(cell.scoring)]

        blank, bank = Cell(), self.dataset.expert_training
        experts = Row("bank of experts", [blank, blank, make_duration(bank), blank])
        last = Row(WHOLE, [blank, blank, blank, make_duration(self.dataset.scoring)], "whole")
        return Table(
            title=f"Costs on {self.dataset.dataset}",
            columns=["method", "IPC", "kB", "distilling", "scoring"],
            groups=[Group(self._make_rows(make_cells, 3))],
            foot=[experts, last] if bank else [last],
            spelt=self.spelt,
        )

    def build_ablations(self) -> list[Table]:
        """Return a table for each method of the grid that has several rows, in the grid's order.

        Rows of one plugin and one paper differ in their values alone. Each row has the difference
        to the one above.
        """
        families: dict[tuple[str, str], list[str]] = {}
        for method in self.results.methods:
            text = self.results.texts.get_method(method)
            families.setdefault((text.plugin or method, text.paper), []).append(method)
        return [
            Table(
                title=f"Ablation of {' and '.join(methods)} on {self.dataset.dataset}",
                columns=["method", *(f"IPC {ipc}" for ipc in self.results.ipcs)],
                groups=[Group(self._list_steps(methods))],
                spelt=self.spelt,
            )
            for methods in families.values()
            if len(methods) > 1
        ]

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

                def make_cells(
                    x: CellResult, measures: Sequence[MeasurementKey] = measures
                ) -> list[Cell]:
                    return [make_score(x.entries[measure].joint) for measure in measures]

                whole = [make_score(self.dataset.whole[measure].joint) for measure in measures]
                higher = self._is_higher_better(headline)
                table = Table(
                    title=f"{self.metric} with every {field} on {self.dataset.dataset}",
                    columns=["method", "IPC", *(getattr(x, field) for x in measures)],
                    groups=[Group(self._make_rows(make_cells, len(measures)))],
                    foot=[Row(WHOLE, [Cell(), *whole], "whole")],
                    descending=range(2, 2 + len(measures)) if higher else (),
                    spelt=self.spelt,
                )
                tables.append((field, table))
        return tables

    def build_task(self, measure: MeasurementKey) -> Table:
        """Return any task's scores, and the columns that the task computes from them.

        Columns that say nothing are left out, and named below the table.

        Args:
            measure: which entries.
        """
        whole, texts = self.dataset.whole[measure], self.results.texts
        compare, empty = texts.get_task(measure.task).compare, self.find_empty(measure)
        names = list(compare(whole.means, whole.means)) if compare else []
        columns = [column for column in whole.columns if column not in empty]

        def make_cells(entry: Entry) -> list[Cell]:
            scores = [make_score(entry.metrics[metric][view]) for metric, view in columns]
            more = compare(entry.means, whole.means) if compare and entry is not whole else {}
            return [*scores, *(make_number(more.get(n)) for n in names)]

        count = len(columns) + len(names)
        rows = self._make_rows(lambda cell: make_cells(cell.entries[measure]), count)
        over = groupby(columns, key=lambda column: column[0])
        best = [texts.get_metric(measure.task, metric).higher_is_better for metric, _ in columns]
        return Table(
            title=f"Task {measure.task} on {self.dataset.dataset}, {measure_name(measure)}",
            columns=["method", "IPC", *(view for _, view in columns), *names],
            groups=[Group(rows)],
            foot=[Row(WHOLE, [Cell(), *make_cells(whole)], "whole")],
            over=[(self.results.title_of(measure, m), len(list(same))) for m, same in over],
            notes=self.results.explain_empty(measure, empty),
            descending=[
                i for i, higher in enumerate([*best, *(True for _ in names)], start=2) if higher
            ],
            spelt=self.spelt,
        )

    def find_empty(self, measure: MeasurementKey) -> Mapping[tuple[str, str], str]:
        """Return (metric, view) -> why that column says nothing.

        Args:
            measure: which entries.
        """
        return self.results.find_empty(self.dataset, measure)

    def build_kd(self) -> dict[str, Table]:
        """Return student -> table, rows grouped by training set."""
        texts = self.results.texts
        spelt = {one.method: texts.get_kd_method(one.method).title for one in self.dataset.kd}
        return {
            student: _build_student(f"Students {student} on {self.dataset.dataset}", sets, spelt)
            for student, sets in group_by_student(self.dataset.kd).items()
        }

    def _make_rows(self, make_cells: Callable[[CellResult], list[Cell]], count: int) -> list[Row]:
        """Return a row for each cell of the grid; one that was skipped has dashes."""
        return [
            Row(method, [Cell(str(ipc)), *(make_cells(cell) if cell else [Cell(DASH)] * count)])
            for method, ipc, cell in self._iterate_grid()
        ]

    def _iterate_grid(self) -> Iterator[tuple[str, int, CellResult | None]]:
        for ipc in self.results.ipcs:
            for method in self.results.methods:
                yield method, ipc, self.dataset.cells.get((method, ipc))

    def _list_steps(self, methods: Sequence[str]) -> list[Row]:
        rows, before = [], dict[int, float]()
        for method in methods:
            cells = []
            for ipc in self.results.ipcs:
                x = self.comparisons.get((method, ipc))
                step = format_difference(x.mean - before[ipc]) if x and ipc in before else ""
                before |= {ipc: x.mean} if x else {}
                accuracy = format_number(100 * x.mean, 1) if x else DASH
                cells.append(Cell(accuracy, x.mean if x else None, note=step))
            rows.append(Row(method, cells))
        return rows

    def _is_higher_better(self, measure: MeasurementKey) -> bool:
        metric = self.dataset.whole[measure].headline
        return self.results.texts.get_metric(measure.task, metric).higher_is_better


def _build_student(
    title: str, sets: Mapping[str, Sequence[KDScores]], spelt: dict[str, str]
) -> Table:
    metrics, groups = list_metrics(sets), []
    for train_set, methods in sets.items():
        rows = []
        for name, scores, key in iterate_rows(methods):
            summaries = (scores.metrics.get(metric, {}).get(key) for metric in metrics)
            rows.append(Row(name, [make_score(x) if x else Cell(DASH) for x in summaries]))
        for name, needs in methods[0].not_run.items():
            rows.append(Row(name, [Cell(needs, span=len(metrics))], "fixed"))
        heading = f"{train_set}: {methods[0].rows} training rows"
        groups.append(Group(rows, train_set, heading))
    return Table(
        title=title,
        columns=["method", *metrics],
        groups=groups,
        descending=range(1, 1 + len(metrics)),
        spelt=spelt,
    )
