"""Tables of the scores outside the grid: a row a file, a table a measurement."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pipeline.report.cells import WHOLE, Cell, Group, Row, Table, make_score
from pipeline.report.format import format_count, measure_name
from pipeline.report.notes import warn_of_few_clips
from pipeline.report.read.results import find_empty_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.report.read.loose import LooseScores
    from pipeline.report.read.results import Results
    from pipeline.report.read.scores import MeasurementKey


def build_loose_tables(results: Results) -> Iterator[Table]:
    """Yield a table for each measurement of each group of scores.

    Args:
        results: the groups and the texts.
    """
    for name, group in _name_groups(results):
        for measure in group[0].entries:
            yield _build_table(name, group, measure, results)


def build_first_tables(results: Results) -> Iterator[Table]:
    """Yield a table for each group of scores: the main metric of the first measurement.

    Args:
        results: the groups and the texts.
    """
    for name, group in _name_groups(results):
        first = next(iter(group[0].entries.values()))
        yield _build_table(name, group, first.measure, results, first.headline)


def _name_groups(results: Results) -> Iterator[tuple[str, Sequence[LooseScores]]]:
    groups = results.loose.groups
    for number, group in enumerate(groups, start=1):
        yield f"Scores {number}" if len(groups) > 1 else "Scores", group


def _build_table(
    name: str,
    group: Sequence[LooseScores],
    measure: MeasurementKey,
    results: Results,
    only: str = "",
) -> Table:
    entries = [one.entries[measure] for one in group]
    empty = find_empty_columns(entries, len(group[0].classes), results.texts)
    columns = [x for x in entries[0].columns if x not in empty and only in ("", x[0])]
    over = groupby(columns, key=lambda column: column[0])

    def make_row(one: LooseScores) -> Row:
        metrics = one.entries[measure].metrics
        scores = [make_score(metrics[metric][view]) for metric, view in columns]
        kilobytes = None if one.bytes is None else format_count(round(one.bytes / 1000, 1))
        size = Cell(kilobytes or "", one.bytes)
        head = one.name if one.artifacts else f"{WHOLE}: {one.name}"
        css = "" if one.artifacts else "whole"
        return Row(head, [Cell("; ".join(one.artifacts)), *scores, size], css)

    return Table(
        title=f"{name} of {measure.task}, {measure_name(measure)}",
        columns=["scores", "artifacts", *(view for _, view in columns), "kB"],
        groups=[Group([make_row(one) for one in group if one.artifacts])],
        foot=[make_row(one) for one in group if not one.artifacts],
        over=[(results.title_of(measure, m), len(list(same))) for m, same in over],
        notes=[
            *warn_of_few_clips(len(group[0].test), [entry.joint for entry in entries]),
            *results.explain_empty(measure, empty),
        ],
        descending=[
            column
            for column, (metric, _) in enumerate(columns, start=2)
            if results.texts.get_metric(measure.task, metric).higher_is_better
        ],
    )
