"""Students with a teacher, in a report: what `avdistill teach` wrote into a data set's folder `taught`, side by side.

Rows are grouped by training set, so that a grid of sets and methods answers whether a teacher helps, and where.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline.errors import SourceError
from pipeline.files import read_json
from pipeline.reporting._html import cell, heads, row, table
from pipeline.reporting._scores import summary_of
from pipeline.reporting._words import interval, numbers, scale, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.reporting._results import Board
    from pipeline.reporting._scores import Summary

FOLDER = "taught"
# The row of a metric that the method's own student stands in, and the method without a teacher.
_STUDENT, _NONE = "student", "none"


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What the students of one method reached.

    Args:
        student: what it is and whose vectors teach it, as "frame <- logmel"; `train_set`: what it learns from, of so many `rows`.
        metrics: metric -> the student, the student with a teacher, or a teacher alone -> summary.
        not_run: rows for which something was missing -> what they need.
    """

    method: str
    student: str
    train_set: str
    rows: int
    classes: tuple[str, ...]
    metrics: dict[str, dict[str, Summary]]
    not_run: dict[str, str]

    def lines(self, *, bounds: bool) -> list[tuple[str, str]]:
        """(row, how it is called) of what this method's students have a share in, or of the bounds, in which they have none."""
        named = list(dict.fromkeys(name for rows in self.metrics.values() for name in rows))
        own = {name: self.method + name.removeprefix(_STUDENT) for name in named if name.startswith(_STUDENT)}
        return [(name, name) for name in named if name not in own] if bounds else list(own.items())


def read_taught(place: Path, classes: tuple[str, ...]) -> tuple[Taught, ...]:
    """What lies in a data set's folder, by student and training set, in each first the method without a teacher.

    Raises:
        SourceError: a file is no result of `avdistill teach`, or of other classes.
    """
    files = [path for path in sorted((place / FOLDER).rglob("*.json")) if not path.name.endswith(".seconds.json")]
    found = [_read(path) for path in files]
    for path, one in zip(files, found, strict=True):
        if one.classes != classes:
            told = f"{path} is of other classes than {place / 'ceiling.json'}"
            raise SourceError(f"{told}; move it out of {place / FOLDER}, or teach on these shards")
    return tuple(sorted(found, key=lambda one: (one.student, one.train_set, one.method != _NONE, one.method)))


def _read(path: Path) -> Taught:
    value: Mapping[str, Any] = read_json(path, "teach")
    again = "remove it and run `avdistill teach` again"
    try:
        (scores,) = value["scores"]
        return Taught(
            method=str(value["method"]),
            student=f"{value['student']} <- {' + '.join(value['teachers'])}",
            train_set=str(value["train_set"]),
            rows=int(value["training_rows"]),
            classes=tuple(value["classes"]),
            metrics={
                metric: {name: summary_of(x, f"{path}: {metric} of {name}", again) for name, x in rows.items()}
                for metric, rows in scores["metrics"].items()
            },
            not_run=dict(line.split(": ", 1) for line in value["not_run"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path} lacks what a report is made of ({type(error).__name__}: {error}); {again}") from error


def by_student(taught: Sequence[Taught]) -> dict[str, dict[str, list[Taught]]]:
    """student -> training set -> methods."""
    return {
        student: {name: list(same) for name, same in groupby(group, key=lambda one: one.train_set)}
        for student, group in groupby(taught, key=lambda one: one.student)
    }


def lines_of(methods: Sequence[Taught]) -> Iterator[tuple[str, Taught, str]]:
    """(name, whose numbers, row of its metrics): every method's, then the bounds, which are the same for all of them."""
    for one in methods:
        yield from ((called, one, name) for name, called in one.lines(bounds=False))
    yield from ((called, methods[0], name) for name, called in methods[0].lines(bounds=True))


def metrics_of(sets: Mapping[str, Sequence[Taught]]) -> list[str]:
    """The metrics of any of them, in their order."""
    return list(dict.fromkeys(metric for methods in sets.values() for one in methods for metric in one.metrics))


def taught_tables(board: Board) -> str:
    """One table for each kind of student."""
    return "".join(_table(board.dataset, student, sets) for student, sets in by_student(board.taught).items())


def _table(dataset: str, student: str, sets: Mapping[str, Sequence[Taught]]) -> str:
    metrics, bodies = metrics_of(sets), []
    for name, methods in sets.items():
        told = f"{escape(name)}: {methods[0].rows} training rows"
        head = f'<tr class="fixed"><th scope="rowgroup" colspan="{len(metrics) + 1}">{told}</th></tr>'
        rows = [
            row(called, [_cell(metric, one.metrics.get(metric, {}).get(key)) for metric in metrics])
            for called, one, key in lines_of(methods)
        ]
        rows += [
            row(called, [cell(escape(needs), None, f' colspan="{len(metrics)}"')], ' class="fixed"')
            for called, needs in methods[0].not_run.items()
        ]
        bodies.append(f"<tbody>{head}{''.join(rows)}</tbody>")
    caption = (
        f"Students {escape(student)}: mean ± standard deviation over seeds, in %, and below it the 95&nbsp;% interval over test "
        "clips; R@k and mAP are of test clips among all training clips. A name with + is the mean of the student's prediction and "
        "the teacher's; rows without a method's name have no student in them."
    )
    return table(f"Students {student} on {dataset}", caption, heads(["method", *metrics]), "".join(bodies))


def _cell(metric: str, summary: Summary | None) -> str:
    if summary is None:
        return cell("&ndash;")
    ends = interval(metric, summary, "&ndash;")
    return cell(spread(metric, summary) + (f"<small>{ends}</small>" if ends else ""), summary.mean, f' title="n = {summary.n}"')


def taught_csv(boards: Sequence[Board]) -> str:
    """One row per data set x student x training set x method x metric x row; fractions."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("dataset", "student", "train_set", "method", "metric", "row", "mean", "std", "low", "high", "n"))
    for board in boards:
        for one in board.taught:
            for metric, rows in one.metrics.items():
                for name, summary in rows.items():
                    writer.writerow([board.dataset, one.student, one.train_set, one.method, metric, name, *numbers(summary)])
    return stream.getvalue()


def taught_means(board: Board) -> dict[str, Any]:
    """student -> training set -> method -> metric -> row -> mean in percent, for `dvc metrics`."""
    return {
        student: {name: {one.method: _means(one) for one in methods} for name, methods in sets.items()}
        for student, sets in by_student(board.taught).items()
    }


def _means(one: Taught) -> dict[str, dict[str, float]]:
    return {
        metric: {name: round(scale(metric) * summary.mean, 2) for name, summary in rows.items()}
        for metric, rows in one.metrics.items()
    }
