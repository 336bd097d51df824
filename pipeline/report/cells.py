"""Tables as plain data, which the page and the texts beside it lay out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.format import (
    format_difference,
    format_duration,
    format_interval,
    format_mean_std,
    format_number,
)

if TYPE_CHECKING:
    from pipeline.report.compare import Difference
    from pipeline.report.read.results import Duration
    from pipeline.report.read.scores import Summary

WHOLE = "whole data"
DASH = "–"


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
    """Rows under a common name, which the page spells out as a heading.

    The line below them, a name and a score, belongs to none of the columns.
    """

    rows: Sequence[Row]
    name: str = ""
    heading: str = ""
    line: tuple[str, Cell] | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Args:
        title: names it for those who do not see the page around it.
        columns: heads, that of the rows included.
        groups: its rows.
        foot: rows that stay last, such as the whole data.
        over: (name, number of columns) heads over those columns that follow the method and IPC.
        notes: sentences below the table.
        descending: numbers of the columns whose largest value is the best: they sort down first.
        spelt: column or row head -> what it stands for.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[Group]
    foot: Sequence[Row] = ()
    over: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()
    descending: Collection[int] = ()
    spelt: dict[str, str] = field(default_factory=dict)


def make_score(summary: Summary, *, bold: bool = False) -> Cell:
    """Return a score with its interval.

    Args:
        summary: the score.
        bold: whether it is the best of its row.
    """
    interval, title = format_interval(summary), f"n = {summary.n}"
    if interval:
        title = f"95 % interval {' to '.join(interval)}, {title}"
    return Cell(format_mean_std(summary), summary.mean, interval, title=title, bold=bold)


def make_difference(difference: Difference | None, *, baseline: bool) -> Cell:
    """Return a difference, bold where its interval excludes zero.

    Args:
        difference: None for the baseline itself, and where the baseline has no score.
        baseline: whether the row is the baseline.
    """
    if difference is None:
        return Cell("baseline", 0.0) if baseline else Cell(DASH)
    mean, *ends = map(format_difference, (difference.mean, difference.low, difference.high))
    title = f"95 % interval {' to '.join(ends)}"
    bold = difference.low > 0 or difference.high < 0
    return Cell(mean, difference.mean, (ends[0], ends[1]), title=title, bold=bold)


def make_duration(duration: Duration | None) -> Cell:
    """Return a time, or "not known".

    Args:
        duration: the time and its machine.
    """
    if duration is None:
        return Cell("not known")
    title = f"on {duration.device}, {duration.threads} workers"
    return Cell(format_duration(duration.seconds), duration.seconds, title=title)


def make_number(value: float | None) -> Cell:
    """Return a plain number with two digits; None is a dash.

    Args:
        value: the number.
    """
    return Cell(DASH) if value is None else Cell(format_number(value, 2), value)
