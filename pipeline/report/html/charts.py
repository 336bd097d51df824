"""Charts as lines, marks and ticks in pixels, which a template draws as SVG.

The page brings the colours: .s0, .s1 ... are series, .c0, .c1 ... classes, .d0, .d1 ... dashes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.report.read.scores import Summary

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
COLOURS, DASHES, HUES = 8, 4, 12
# Paths around 0, 0: shapes, so that colour is never the only difference.
SHAPES = (
    "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0z",
    "M-3.8-3.8h7.6v7.6h-7.6z",
    "M0-5.4 5.4 0 0 5.4-5.4 0z",
    "M0-5.2 5 3.8-5 3.8z",
    "M0 5.2 5-3.8-5-3.8z",
)
# Lines that are nowhere farther apart, in pixels, hide each other; then each has dashes so long.
_HIDDEN, _DASH = 1.5, 7
# Marks that are not farther apart are drawn without a ground, so that both show.
_OVERLAP = 8.0
WHOLE = "whole data"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` on the pixels from `start` to `end`, logarithmic if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def to_pixel(self, value: float) -> float:
        """Return the pixel of a value; the middle where all values are equal."""
        low, high, x = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        fraction = (x - low) / (high - low) if high > low else 0.5
        return round(self.start + fraction * (self.end - self.start), 1)

    def compute_ticks(self) -> list[float]:
        """Return four to seven round numbers; decades and their parts where two of them fit."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            parts = (1, 2, 5) if len(decades) <= 3 else (1,)
            numbers = [part * 10.0**decade for decade in decades for part in parts]
            ticks = [tick for tick in numbers if self.low <= tick <= self.high]
            if len(ticks) > 1:
                return ticks
        span = max(self.high - self.low, 1e-9)
        power = 10.0 ** math.floor(math.log10(span / 6))
        step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]

    def place_ticks(self, values: Sequence[float] | None = None) -> list[tuple[float, str]]:
        """Return (pixel, label) of some values, by default of round ones."""
        ticks = self.compute_ticks() if values is None else values
        return [(self.to_pixel(tick), f"{tick:g}") for tick in ticks]


class Mark(NamedTuple):
    """A shape at a point, the text shown on hovering, and the two ends of its bar.

    A hollow mark lets others show through.
    """

    x: float
    y: float
    shape: str
    title: str
    bar: tuple[float, float] | None = None
    hollow: bool = False


class Line(NamedTuple):
    """A path and marks in the colour of a CSS class; an empty path draws marks alone.

    A phase (this line, lines that hide each other) lets their dashes alternate.
    """

    css: str
    path: str = ""
    title: str = ""
    marks: Sequence[Mark] = ()
    phase: tuple[int, int] | None = None

    @property
    def style(self) -> str:
        """The dashes of a line that would hide another one, empty for others."""
        if self.phase is None:
            return ""
        this, count = self.phase
        return f"stroke-dasharray:{_DASH} {_DASH * (count - 1)};stroke-dashoffset:{-_DASH * this}"


class Key(NamedTuple):
    """An item of a legend: its text behind a short line, a shape or a dot; a title on hovering."""

    text: str
    css: str = ""
    line: bool = False
    dot: bool = False
    shape: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Args:
        title: for screen readers.
        description: likewise.
        lines: series, drawn in this order.
        name: stands above one of several charts.
        x_label: below the axis, empty without axes.
        y_label: beside the axis.
        x_ticks: (pixel, label).
        y_ticks: (pixel, label).
        bound: (pixel, pixel of the label, label) of the whole data's line, None without it.
        dots: (x, y, CSS class).
        width: pixels, axes included.
        height: likewise.
    """

    title: str
    description: str
    lines: Sequence[Line]
    name: str = ""
    x_label: str = ""
    y_label: str = ""
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    bound: tuple[float, float, str] | None = None
    dots: Sequence[tuple[float, float, str]] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    top: int = TOP

    @property
    def right(self) -> int:
        """The pixel where the plot ends."""
        return self.width - RIGHT

    @property
    def ground(self) -> int:
        """The pixel of the axis across."""
        return self.height - BOTTOM

    @property
    def alternates(self) -> bool:
        """Whether there are lines that would hide each other."""
        return any(line.phase for line in self.lines)


def draw_scores(
    title: str,
    metric: str,
    x_label: str,
    series: Mapping[str, Sequence[tuple[float, str, Summary]]],
    whole: tuple[float | None, float],
    ticks: Sequence[float] | None = None,
) -> Chart:
    """Draw a score on a logarithmic axis, with bars for intervals and a line for the whole data.

    Args:
        title: for screen readers.
        metric: the name of the score, a fraction.
        x_label: the quantity on the axis, with its unit.
        series: method -> (position on the axis, label, summary).
        whole: position and score of the whole data, the position None without one.
        ticks: the only positions, where methods stand side by side; None for any positions.
    """
    extra, mean = whole
    points = [point for of_method in series.values() for point in of_method]
    xs = [x for x, *_ in points] + ([extra] if extra else [])
    across = _build_log_axis(xs, 1.0, 46) if ticks else _build_log_axis(xs, 1.3, 0)
    up = _build_percent_axis([summary for *_, summary in points], mean)
    lines = tell_apart(_draw_series(series, across, up, 8 if ticks else 0))
    y, bound = up.to_pixel(100 * mean), f"{WHOLE} {100 * mean:.1f}"
    if extra:
        mark = Mark(across.to_pixel(extra), y, SHAPES[0], f"{bound} %")
        lines.append(Line("whole-mark", marks=[mark]))
    names = f"{metric} of {', '.join(series)} against {x_label}"
    return Chart(
        title=title,
        description=f"{names}; {bound} %. The tables hold the numbers.",
        lines=lines,
        x_label=x_label,
        y_label=f"{metric}, %",
        x_ticks=across.place_ticks(ticks),
        y_ticks=up.place_ticks(),
        # The label stands below where the line runs on top.
        bound=(y, y + 14 if y < TOP + 16 else y - 6, bound),
    )


def tell_apart(lines: Sequence[Line]) -> list[Line]:
    """Return lines whose dashes alternate where they coincide, and hollow marks where they meet.

    Args:
        lines: series of one chart.
    """
    paths = [_read_path(line.path) for line in lines]
    same = [[j for j, other in enumerate(paths) if _coincide(path, other)] for path in paths]
    marks = [
        [
            mark._replace(
                hollow=any(
                    math.dist(mark[:2], other[:2]) < _OVERLAP
                    for one in lines
                    if one is not line
                    for other in one.marks
                )
            )
            for mark in line.marks
        ]
        for line in lines
    ]
    return [
        line._replace(marks=marks[i], phase=(of.index(i), len(of)) if len(of) > 1 else None)
        for i, (line, of) in enumerate(zip(lines, same, strict=True))
    ]


def _read_path(path: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in path.removeprefix("M").split()]


def _coincide(one: Sequence[tuple[float, ...]], other: Sequence[tuple[float, ...]]) -> bool:
    """Whether two paths of several points lie on each other."""
    return len(one) == len(other) > 1 and all(
        math.dist(*pair) < _HIDDEN for pair in zip(one, other, strict=True)
    )


def css_of_class(label: int, classes: int) -> str:
    """Return the colour of a class: few stand far apart on the wheel, many go around it.

    Args:
        label: number of the class.
        classes: how many there are.
    """
    return f"c{label * HUES // classes if classes < HUES else label % HUES}"


def css_of_curve(method: int, ipc: int) -> str:
    """Return colour and dash of a loss curve.

    Args:
        method: number of the method.
        ipc: number of the IPC.
    """
    return f"s{method % COLOURS} d{ipc % DASHES}"


def list_method_keys(methods: Mapping[str, str]) -> list[Key]:
    """Return a key per method: its colour, its shape and its name.

    Args:
        methods: name -> the same, spelt out.
    """
    return [
        Key(name, f"s{i % COLOURS}", line=True, shape=SHAPES[i % len(SHAPES)], title=title)
        for i, (name, title) in enumerate(methods.items())
    ]


def _build_log_axis(values: Sequence[float], margin: float, room: int) -> Axis:
    """Return an axis across, wider than the values by a factor and a number of pixels."""
    low, high = min(values) / margin, max(values) * margin
    return Axis(low=low, high=high, start=LEFT + room, end=WIDTH - RIGHT - room, log=True)


def _build_percent_axis(summaries: Sequence[Summary], whole: float) -> Axis:
    """Return an axis in percent, by twenties, with room for every interval and the whole data."""
    lows = [x.mean if x.low is None else x.low for x in summaries]
    highs = [x.mean if x.high is None else x.high for x in summaries]
    high = min(max(20 * math.ceil(5 * max(*highs, whole)), 20), 100)
    low = min(20 * math.floor(5 * min(*lows, whole)), high - 20)
    return Axis(low=low, high=high, start=HEIGHT - BOTTOM, end=TOP, log=False)


def _draw_series(
    series: Mapping[str, Sequence[tuple[float, str, Summary]]], across: Axis, up: Axis, gap: int
) -> list[Line]:
    """Return each method's line, bars and marks, with so many pixels between methods."""
    lines = []
    for i, (method, points) in enumerate(series.items()):
        marks = []
        for value, label, summary in points:
            title, bar = f"{method}, {label}: {100 * summary.mean:.1f} %", None
            if summary.low is not None and summary.high is not None:
                title += f", interval {100 * summary.low:.1f} to {100 * summary.high:.1f}"
                bar = up.to_pixel(100 * summary.low), up.to_pixel(100 * summary.high)
            x = across.to_pixel(value) + gap * (i - (len(series) - 1) / 2)
            y = up.to_pixel(100 * summary.mean)
            marks.append(Mark(x, y, SHAPES[i % len(SHAPES)], title, bar))
        path = trace([(mark.x, mark.y) for mark in marks])
        lines.append(Line(f"s{i % COLOURS}", path, marks=marks))
    return lines


def trace(points: Sequence[tuple[float, float]]) -> str:
    """Return the path through some points.

    Args:
        points: (x, y) in pixels.
    """
    return f"M{' '.join(f'{x:g},{y:g}' for x, y in points)}" if points else ""
