"""Students with a teacher: what `avdistill teach` wrote into a data set's folder `taught`, read and put side by side.

Rows are grouped by training set, so that a grid of sets and methods answers whether a teacher helps, and where.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json
from pipeline.report.read.scores import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.report.read.scores import Summary

FOLDER = "taught"
# The row of a metric that the method's own student stands in, and the method without a teacher.
_STUDENT, _NONE = "student", "none"


@dataclass(frozen=True, kw_only=True)
class KDScores:
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

    def list_rows(self, *, bounds: bool) -> list[tuple[str, str]]:
        """(row, how it is called) of what this method's students have a share in, or of the bounds, in which they have none."""
        named = list(dict.fromkeys(name for rows in self.metrics.values() for name in rows))
        own = {
            name: self.method + name.removeprefix(_STUDENT)
            for name in named
            if name.startswith(_STUDENT)
        }
        return [(name, name) for name in named if name not in own] if bounds else list(own.items())


def read_kd_results(place: Path, classes: tuple[str, ...]) -> tuple[KDScores, ...]:
    """What lies in a data set's folder, by student and training set, in each first the method without a teacher.

    Raises:
        SourceError: a file is no result of `avdistill teach`, or of other classes.
    """
    files = [
        path
        for path in sorted((place / FOLDER).rglob("*.json"))
        if not path.name.endswith(".seconds.json")
    ]
    found = [_read(path) for path in files]
    for path, one in zip(files, found, strict=True):
        if one.classes != classes:
            told = f"{path} is of other classes than {place / 'ceiling.json'}"
            raise SourceError(f"{told}; move it out of {place / FOLDER}, or teach on these shards")
    return tuple(
        sorted(found, key=lambda one: (one.student, one.train_set, one.method != _NONE, one.method))
    )


def _read(path: Path) -> KDScores:
    value: Mapping[str, Any] = read_json(path, "teach")
    again = "remove it and run `avdistill teach` again"
    try:
        (scores,) = value["scores"]
        return KDScores(
            method=str(value["method"]),
            student=f"{value['student']} <- {' + '.join(value['teachers'])}",
            train_set=str(value["train_set"]),
            rows=int(value["training_rows"]),
            classes=tuple(value["classes"]),
            metrics={
                metric: {
                    name: summary_of(x, f"{path}: {metric} of {name}", again)
                    for name, x in rows.items()
                }
                for metric, rows in scores["metrics"].items()
            },
            not_run=dict(line.split(": ", 1) for line in value["not_run"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} lacks what a report is made of ({type(error).__name__}: {error}); {again}"
        ) from error


def group_by_student(taught: Sequence[KDScores]) -> dict[str, dict[str, list[KDScores]]]:
    """student -> training set -> methods."""
    return {
        student: {name: list(same) for name, same in groupby(group, key=lambda one: one.train_set)}
        for student, group in groupby(taught, key=lambda one: one.student)
    }


def lines_of(methods: Sequence[KDScores]) -> Iterator[tuple[str, KDScores, str]]:
    """(name, whose numbers, row of its metrics): every method's, then the bounds, which are the same for all of them."""
    for one in methods:
        yield from ((called, one, name) for name, called in one.list_rows(bounds=False))
    yield from ((called, methods[0], name) for name, called in methods[0].list_rows(bounds=True))


def metrics_of(sets: Mapping[str, Sequence[KDScores]]) -> list[str]:
    """The metrics of any of them, in their order."""
    return list(
        dict.fromkeys(
            metric for methods in sets.values() for one in methods for metric in one.metrics
        )
    )
