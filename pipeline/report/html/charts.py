"""Charts as lines, marks and ticks in pixels, which a template draws as SVG.

The page brings the colours: .s0, .s1 ... are series, .c0, .c1 ... classes, .d0, .d1 ... dashes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from pipeline.report.read.results import Points
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
_DECADE = 10.0
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
    """A shape at a point, the text shown on hovering, and the two ends of its bar."""

    x: float
    y: float
    shape: str
    title: str
    bar: tuple[float, float] | None = None


class Line(NamedTuple):
    """A path and marks in the colour of a CSS class; an empty path draws marks alone."""

    css: str
    path: str = ""
    title: str = ""
    marks: Sequence[Mark] = ()


class Key(NamedTuple):
    """An item of a legend: its text behind a short line, a shape or a dot."""

    text: str
    css: str = ""
    line: bool = False
    dot: bool = False
    shape: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Args:
        title: for screen readers.
        description: likewise.
        lines: series, drawn in this order.
        x_label: below the axis, empty without axes.
        y_label: beside the axis.
        x_ticks: (pixel, label).
        y_ticks: (pixel, label).
        bound: (pixel, pixel of the label, label) of the whole data's line, None without it.
        dots: (x, y, CSS class).
    """

    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT
    left: ClassVar[int] = LEFT
    right: ClassVar[int] = WIDTH - RIGHT
    top: ClassVar[int] = TOP
    ground: ClassVar[int] = HEIGHT - BOTTOM

    title: str
    description: str
    lines: Sequence[Line]
    x_label: str = ""
    y_label: str = ""
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    bound: tuple[float, float, str] | None = None
    dots: Sequence[tuple[float, float, str]] = ()


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
    lines = _draw_series(series, across, up, 8 if ticks else 0)
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


def draw_plane(
    title: str,
    description: str,
    real: Points,
    synthetic: Mapping[str, Points],
    classes: Sequence[str],
) -> Chart:
    """Draw real windows as dots and synthetic instances as marks; both axes have one scale.

    Args:
        title: for screen readers.
        description: likewise.
        real: real windows; colours are classes.
        synthetic: method -> instances; shapes are methods.
        classes: names of the classes.
    """
    points = [*real, *(point for marks in synthetic.values() for point in marks)]
    lows, highs = ([pick(point[i] for point in points) for i in (0, 1)] for pick in (min, max))
    wide, high = WIDTH - 24, HEIGHT - 24
    unit = wide / max(highs[0] - lows[0], (highs[1] - lows[1]) * wide / high, 1e-9)
    middle = [(a + b) / 2 for a, b in zip(lows, highs, strict=True)]

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = WIDTH / 2 + unit * (x - middle[0]), HEIGHT / 2 - unit * (y - middle[1])
        return round(across, 1), round(up, 1)

    lines = [
        Line(
            css_of_class(label, len(classes)),
            marks=[Mark(*place(x, y), SHAPES[i % len(SHAPES)], f"{classes[label]}, {method}")],
        )
        for i, (method, instances) in enumerate(synthetic.items())
        for x, y, label in instances
    ]
    dots = [(*place(x, y), css_of_class(label, len(classes))) for x, y, label in real]
    return Chart(title=title, description=description, lines=lines, dots=dots)


def draw_losses(
    title: str, series: Sequence[tuple[str, str, Sequence[tuple[int, float]]]]
) -> Chart:
    """Draw losses against the step, each as a multiple of its own start.

    The start is the mean of the first tenth of the points, as single steps are noisy. The axis is
    logarithmic where the multiples span a decade.

    Args:
        title: for screen readers.
        series: (label, CSS classes, (step, loss)).
    """
    curves = [(label, css, _normalise_losses(points)) for label, css, points in series]
    steps = [step for *_, points in curves for step, _ in points] or [0]
    values = [value for *_, points in curves for _, value in points] or [1.0]
    low, high = min(values), max(values)
    log = low > 0 and high / low >= _DECADE
    edge = 0.0 if log else 0.05 * (high - low)
    across = Axis(low=0, high=max(steps), start=LEFT, end=WIDTH - RIGHT, log=False)
    up = Axis(low=low - edge, high=high + edge, start=HEIGHT - BOTTOM, end=TOP, log=log)
    return Chart(
        title=title,
        description=f"Mean loss over seeds of {', '.join(label for label, *_ in curves)} against "
        "the step, as multiples of their starts.",
        lines=[
            Line(
                f"thin {css}",
                _trace([(across.to_pixel(x), up.to_pixel(y)) for x, y in points]),
                label,
            )
            for label, css, points in curves
        ],
        x_label="step",
        y_label=f"loss / its start{', logarithmic' if log else ''}",
        x_ticks=across.place_ticks(),
        y_ticks=up.place_ticks(),
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


def list_method_keys(methods: Sequence[str], *, colours: bool) -> list[Key]:
    """Return a key per method: its shape, and its colour and line where colours mean methods.

    Args:
        methods: names.
        colours: whether colours mean methods.
    """
    return [
        Key(name, f"s{i % COLOURS}" if colours else "", line=colours, shape=SHAPES[i % len(SHAPES)])
        for i, name in enumerate(methods)
    ]


def _normalise_losses(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Divide the finite losses by the mean of their first tenth; keep them where that is 0."""
    finite = [point for point in points if math.isfinite(point[1])]
    first = finite[: math.ceil(len(finite) / 10)]
    start = sum(value for _, value in first) / len(first) if first else 0.0
    return [(step, value / (start or 1.0)) for step, value in finite]


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
        path = _trace([(mark.x, mark.y) for mark in marks])
        lines.append(Line(f"s{i % COLOURS}", path, marks=marks))
    return lines


def _trace(points: Sequence[tuple[float, float]]) -> str:
    return f"M{' '.join(f'{x:g},{y:g}' for x, y in points)}" if points else ""
