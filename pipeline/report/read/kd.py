"""Students with a teacher: results of `avdistill teach`, grouped by student and training set.

A grid of training sets and methods shows whether a teacher helps, and where.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json
from pipeline.core.paths import walk
from pipeline.report.read.scores import explain_damage, parse_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.report.read.scores import Summary

# The folder of a dataset's results, and the row of a metric that the method's own student has.
FOLDER, _STUDENT = "taught", "student"


@dataclass(frozen=True, kw_only=True)
class KDScores:
    """The scores of one method's students.

    Args:
        method: a section of `kd`.
        student: the student and its teachers, as "frame <- logmel".
        train_set: the name of the training set.
        rows: training rows.
        classes: names of the classes.
        metrics: metric -> row (the student, the student with a teacher, a teacher) -> summary.
        not_run: row that was not run -> what it needs.
    """

    method: str
    student: str
    train_set: str
    rows: int
    classes: tuple[str, ...]
    metrics: dict[str, dict[str, Summary]]
    not_run: dict[str, str]


def read_kd_results(
    folder: Path, classes: tuple[str, ...], baseline: str | None
) -> tuple[KDScores, ...]:
    """Return a dataset's results by student and training set, in each the baseline first.

    Args:
        folder: results of one dataset.
        classes: its classes.
        baseline: the method without a teacher.

    Raises:
        SourceError: a file is no result of `avdistill teach`, or has other classes.
    """
    files = sorted(
        place / name
        for place, names in walk(folder / FOLDER)
        for name in names
        if name.endswith(".json") and not name.endswith(".seconds.json")
    )
    scores = [_read(path) for path in files]
    for path, one in zip(files, scores, strict=True):
        if one.classes != classes:
            raise SourceError(
                f"{path} is of other classes than {folder / 'ceiling.json'}; "
                f"move it out of {folder / FOLDER}, or teach on these shards"
            )
    return tuple(
        sorted(
            scores, key=lambda one: (one.student, one.train_set, one.method != baseline, one.method)
        )
    )


def _read(path: Path) -> KDScores:
    value: Mapping[str, Any] = read_json(path, "teach")
    again = "remove it and run `avdistill teach` again"
    with explain_damage(path, "teach"):
        (scores,) = value["scores"]
        metrics = {
            metric: {
                row: parse_summary(x, f"{path}: {metric} of {row}", again)
                for row, x in rows.items()
            }
            for metric, rows in scores["metrics"].items()
        }
        return KDScores(
            method=str(value["method"]),
            student=f"{value['student']} <- {' + '.join(value['teachers'])}",
            train_set=str(value["train_set"]),
            rows=int(value["training_rows"]),
            classes=tuple(value["classes"]),
            metrics=metrics,
            not_run=dict(line.split(": ", 1) for line in value["not_run"]),
        )


def group_by_student(scores: Sequence[KDScores]) -> dict[str, dict[str, list[KDScores]]]:
    """Return student -> training set -> the scores of its methods.

    Args:
        scores: in the order of `read_kd_results`.
    """
    return {
        student: {name: list(same) for name, same in groupby(group, key=lambda one: one.train_set)}
        for student, group in groupby(scores, key=lambda one: one.student)
    }


def iterate_rows(methods: Sequence[KDScores]) -> Iterator[tuple[str, KDScores, str]]:
    """Yield (name, scores, row of its metrics), rows with a student first.

    Rows without a student, such as a teacher alone, are equal for all methods and come once.

    Args:
        methods: the methods of one student and training set.
    """
    for one in methods:
        for row in _list_rows(one):
            if row.startswith(_STUDENT):
                yield one.method + row.removeprefix(_STUDENT), one, row
    for row in _list_rows(methods[0]):
        if not row.startswith(_STUDENT):
            yield row, methods[0], row


def _list_rows(scores: KDScores) -> list[str]:
    return list(dict.fromkeys(row for rows in scores.metrics.values() for row in rows))


def list_metrics(sets: Mapping[str, Sequence[KDScores]]) -> list[str]:
    """Return the metrics of all methods, each once, in their order.

    Args:
        sets: training set -> methods.
    """
    scores = (one for methods in sets.values() for one in methods)
    return list(dict.fromkeys(metric for one in scores for metric in one.metrics))
