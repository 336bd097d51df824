"""scores.json and ceiling.json -> entries, one per item of evaluate.run."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json
from pipeline.core.scores import find_plain_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.evaluation import ScoreTexts


class MeasurementKey(NamedTuple):
    """The names that tell entries apart: one item of `evaluate.run`."""

    protocol: str
    network: str
    head: str
    task: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One metric over n runs.

    Args:
        mean: a fraction, or a plain number.
        std: population standard deviation.
        n: students.
        low: lower end of the 95 % interval, None without one.
        high: its upper end.
        scale: 100 for a fraction, which is written in percent; 1 for a plain number.
    """

    mean: float
    std: float
    n: int
    low: float | None
    high: float | None
    scale: int = 100


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The scores of one measurement; the last four fields are empty for tasks that do not count.

    Args:
        measure: its names.
        metrics: metric -> view -> summary, in the order of the columns.
        headline: the metric that rows are compared by.
        correct: view -> per run -> per test clip, the number of windows recognised correctly.
        windows: windows per test clip.
        confusion: view -> rows of the true class, columns of the predicted, summed over runs.
        sets: sets that the runs are of, with equally many students each.
    """

    measure: MeasurementKey
    metrics: dict[str, dict[str, Summary]]
    headline: str
    correct: dict[str, list[list[int]]]
    windows: list[int]
    confusion: dict[str, list[list[int]]]
    sets: int

    @property
    def views(self) -> list[str]:
        """Views of the headline's metric: the joint one first, then the single ones."""
        return sorted(self.metrics[self.headline], key=lambda view: (-len(view), view))

    @property
    def joint(self) -> Summary:
        """The headline's metric in the first view."""
        return self.metrics[self.headline][self.views[0]]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(metric, view) of every score."""
        return [(metric, view) for metric, views in self.metrics.items() for view in views]

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """metric -> view -> mean."""
        return {
            metric: {view: summary.mean for view, summary in views.items()}
            for metric, views in self.metrics.items()
        }


Entries = dict[MeasurementKey, Entry]


def read_scores(
    path: Path,
    stage: str,
    wanted: tuple[str, ...],
    texts: ScoreTexts,
    optional: tuple[str, ...] = (),
) -> tuple[dict[str, Any], Entries]:
    """Return the classes with the `wanted` values of a file, and its entries in their order.

    Args:
        path: a file of scores.
        stage: the command that writes it, for messages.
        wanted: names of further values.
        texts: of tasks and metrics.
        optional: names of values that older files lack; None stands for a missing one.

    Raises:
        SourceError: the file is missing, damaged, or not of that stage.
    """
    value = read_json(path, stage)
    again = f"remove it and run `avdistill {stage}` again"
    with explain_damage(path, stage):
        entries = [_parse_entry(entry, path, again, texts) for entry in value["scores"]]
        about = {"classes": tuple(value["classes"]), **{name: value[name] for name in wanted}}
        about |= {name: value.get(name) for name in optional}
    by_key = {entry.measure: entry for entry in entries}
    if not by_key or len(by_key) < len(entries):
        raise SourceError(
            f"{path} holds {len(entries)} scores of {len(by_key)} measures, "
            f"expected each of evaluate.run once; {again}"
        )
    for entry in entries:
        _refuse_misshapen(entry, len(about["classes"]), f"{path}: {entry.measure}", again)
    return about, by_key


@contextmanager
def explain_damage(
    path: Path, stage: str, damage: str = "lacks values that a report needs"
) -> Iterator[None]:
    """Turn the errors of reading a file's values into a SourceError.

    Args:
        path: the file.
        stage: the command that writes it.
        damage: the predicate of the message's sentence.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} {damage} ({type(error).__name__}: {error}); "
            f"remove it and run `avdistill {stage}` again"
        ) from error


def parse_summary(
    value: Mapping[str, Any], where: str, again: str, percent: bool = True
) -> Summary:
    """Return a summary as it stands in a file.

    Args:
        value: mean, and where there are some std, n, low and high.
        where: the file and the name of the score, for messages.
        again: how to write the file again, for messages.
        percent: whether it is a fraction, not a plain number.

    Raises:
        SourceError: a number is not finite.
    """
    numbers = {"mean": value["mean"], "std": value.get("std", 0.0)}
    numbers |= {name: value.get(name) for name in ("low", "high")}
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise SourceError(f"{where} has {name} {number}, which is no score; {again}")
    return Summary(n=int(value.get("n", 1)), scale=100 if percent else 1, **numbers)


def _parse_entry(value: Mapping[str, Any], path: Path, again: str, texts: ScoreTexts) -> Entry:
    measure = MeasurementKey(*(str(value[name]) for name in MeasurementKey._fields))
    plain = find_plain_metrics(value)
    metrics = {}
    for metric, views in value["metrics"].items():
        percent = metric not in plain and texts.get_metric(measure.task, metric).percent
        metrics[metric] = {
            view: parse_summary(x, f"{path}: {metric} of {view} ({measure})", again, percent)
            for view, x in views.items()
        }
    headline = texts.get_task(measure.task).headline or next(iter(metrics))
    counts: dict[str, Any] = {"correct": {}, "windows": [], "confusion": {}, "sets": 1}
    views = list(metrics[headline])
    if "right" in value:
        counts["correct"], counts["confusion"] = (
            {view: [[int(count) for count in row] for row in value[name][view]] for view in views}
            for name in ("right", "confusion")
        )
        counts["windows"] = [int(count) for count in value["windows"]]
        counts["sets"] = len({run["set"] for run in value["runs"]})
    return Entry(measure=measure, metrics=metrics, headline=headline, **counts)


def _refuse_misshapen(entry: Entry, classes: int, where: str, again: str) -> None:
    if any(
        not runs or any(len(run) != len(entry.windows) for run in runs)
        for runs in entry.correct.values()
    ):
        raise SourceError(
            f"{where} counts right windows of another number of test clips "
            f"than it has windows of; {again}"
        )
    if any([len(row) for row in grid] != [classes] * classes for grid in entry.confusion.values()):
        raise SourceError(
            f"{where} has a confusion matrix that is not {classes} x {classes}, "
            f"the number of classes; {again}"
        )
