"""scores.json and ceiling.json -> entries: what students reached, under one protocol, with one network and head, on one task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECOGNITION, ACCURACY = "recognition", "accuracy"


class MeasurementKey(NamedTuple):
    """What tells entries apart: one item of `evaluate.run`."""

    protocol: str
    network: str
    head: str
    task: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Over n runs: mean, population std, and the 95 % interval where there is one; fractions, or numbers of their own."""

    mean: float
    std: float
    n: int
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The scores of one measure.

    Args:
        metrics: metric -> view -> summary.
        right: view -> for each run the number of rightly recognised windows of each test clip; `windows`: of each test clip.
        confusion: view -> rows of the true class, columns of the predicted, summed over runs. All three of recognition only.
        sets: that the runs are of, as many students of each.
    """

    measure: MeasurementKey
    metrics: dict[str, dict[str, Summary]]
    right: dict[str, list[list[int]]]
    windows: list[int]
    confusion: dict[str, list[list[int]]]
    sets: int

    @property
    def views(self) -> list[str]:
        """Of accuracy: the joint view first, then the single ones."""
        return sorted(self.metrics[ACCURACY], key=lambda view: (-len(view), view))

    @property
    def joint(self) -> Summary:
        """Accuracy of the first view."""
        return self.metrics[ACCURACY][self.views[0]]

    @property
    def shape(self) -> dict[str, set[str]]:
        """Metrics and their views: what comparable entries have in common."""
        return {metric: set(views) for metric, views in self.metrics.items()}


Entries = dict[MeasurementKey, Entry]


def read_scores(path: Path, stage: str, wanted: tuple[str, ...]) -> tuple[dict[str, Any], Entries]:
    """The classes and what `wanted` names, and the entries in their order; a SourceError says what is wrong with the file."""
    value = read_json(path, stage)
    again = f"remove it and run `avdistill {stage}` again"
    try:
        entries = [_parse_entry(entry, path, again) for entry in value["scores"]]
        about = {"classes": tuple(value["classes"]), **{name: value[name] for name in wanted}}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} lacks what a report is made of ({type(error).__name__}: {error}); {again}"
        ) from error
    found = {entry.measure: entry for entry in entries}
    if not found or len(found) < len(entries):
        raise SourceError(
            f"{path} holds {len(entries)} scores of {len(found)} measures, expected each of evaluate.run once; {again}"
        )
    for entry in entries:
        _refuse_misshapen(entry, len(about["classes"]), f"{path}: {entry.measure}", again)
    return about, found


def _parse_entry(value: Mapping[str, Any], path: Path, again: str) -> Entry:
    measure = MeasurementKey(*(str(value[name]) for name in MeasurementKey._fields))
    metrics = {
        metric: {
            view: summary_of(x, f"{path}: {metric} of {view} ({measure})", again)
            for view, x in views.items()
        }
        for metric, views in value["metrics"].items()
    }
    if measure.task != RECOGNITION:
        return Entry(measure=measure, metrics=metrics, right={}, windows=[], confusion={}, sets=1)
    right, confusion = (
        {
            view: [[int(count) for count in row] for row in value[name][view]]
            for view in metrics[ACCURACY]
        }
        for name in ("right", "confusion")
    )
    windows = [int(count) for count in value["windows"]]
    sets = len({run["set"] for run in value["runs"]})
    return Entry(
        measure=measure,
        metrics=metrics,
        right=right,
        windows=windows,
        confusion=confusion,
        sets=sets,
    )


def _refuse_misshapen(entry: Entry, classes: int, where: str, again: str) -> None:
    if any(
        not runs or any(len(run) != len(entry.windows) for run in runs)
        for runs in entry.right.values()
    ):
        raise SourceError(
            f"{where} counts right windows of another number of test clips than it has windows of; {again}"
        )
    if any([len(row) for row in grid] != [classes] * classes for grid in entry.confusion.values()):
        raise SourceError(
            f"{where} has a confusion matrix that is not {classes} x {classes}, the number of classes; {again}"
        )


def summary_of(value: Mapping[str, Any], where: str, again: str) -> Summary:
    """A summary as it stands in a file; a SourceError where a number is none."""
    numbers = {
        "mean": value["mean"],
        "std": value.get("std", 0.0),
        "low": value.get("low"),
        "high": value.get("high"),
    }
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise SourceError(f"{where} has {name} {number}, which is no score; {again}")
    return Summary(n=int(value.get("n", 1)), **numbers)
