"""Small charts side by side, one a method, all with the same axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.report.html.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    SHAPES,
    TOP,
    Axis,
    Chart,
    Line,
    Mark,
    css_of_class,
    tell_apart,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.report.read.results import Points

# label, CSS classes, (step, loss)
Curve = tuple[str, str, Sequence[tuple[int, float]]]
WIDTH, HEIGHT = 320, 220
_DECADE = 10.0


def draw_planes(
    title: str, real: Points, synthetic: Mapping[str, Points], classes: Sequence[str]
) -> list[Chart]:
    """Draw one chart a method: real windows as dots, its synthetic instances as marks.

    All charts have the same axes, and both axes one scale.

    Args:
        title: for screen readers.
        real: real windows; colours are classes.
        synthetic: method -> instances.
        classes: names of the classes.
    """
    place = _make_place((*real, *(point for marks in synthetic.values() for point in marks)))
    css = [css_of_class(label, len(classes)) for label in range(len(classes))]
    dots = [(*place(x, y), css[label]) for x, y, label in real]
    charts = []
    for method, instances in synthetic.items():
        lines = [
            Line(css[c], marks=[Mark(*place(x, y), SHAPES[0], f"{classes[c]}; {method}")])
            for x, y, c in instances
        ]
        charts.append(
            Chart(
                title=f"{title}: {method}",
                description=f"{len(real)} real windows as dots, {len(lines)} instances as marks.",
                name=method,
                lines=lines,
                dots=dots,
                width=WIDTH,
                height=HEIGHT,
            )
        )
    return charts


def _make_place(points: Points) -> Callable[[float, float], tuple[float, float]]:
    """Return (x, y) -> pixels, with room for all points and one scale for both axes."""
    lows, highs = ([pick(point[i] for point in points) for i in (0, 1)] for pick in (min, max))
    wide, high = WIDTH - 24, HEIGHT - 24
    unit = wide / max(highs[0] - lows[0], (highs[1] - lows[1]) * wide / high, 1e-9)
    middle = [(a + b) / 2 for a, b in zip(lows, highs, strict=True)]

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = WIDTH / 2 + unit * (x - middle[0]), HEIGHT / 2 - unit * (y - middle[1])
        return round(across, 1), round(up, 1)

    return place


def draw_losses(title: str, panels: Mapping[str, Sequence[Curve]]) -> list[Chart]:
    """Draw losses against the step, each as a multiple of its own start; one chart a method.

    The start is the mean of the first tenth of the points, as single steps are noisy. All charts
    have the same axes, and that of losses is logarithmic where the multiples span a decade.

    Args:
        title: for screen readers.
        panels: method -> (label, CSS classes, (step, loss)) of its curves.
    """
    curves = {
        method: [(label, css, _normalise_losses(points)) for label, css, points in series]
        for method, series in panels.items()
    }
    across, up = _make_loss_axes([x for of in curves.values() for *_, line in of for x in line])
    charts = []
    for method, of in curves.items():
        lines = []
        for label, css, points in of:
            path = trace([(across.to_pixel(x), up.to_pixel(y)) for x, y in points])
            lines.append(Line(f"thin {css}", path, label))
        charts.append(
            Chart(
                title=f"{title}: {method}",
                description=f"Mean loss over seeds of {'; '.join(label for label, *_ in of)} "
                "against the step, as multiples of their starts.",
                name=method,
                lines=tell_apart(lines),
                x_label="step",
                y_label=f"loss / its start{', logarithmic' if up.log else ''}",
                x_ticks=across.place_ticks(),
                y_ticks=up.place_ticks(),
                width=WIDTH,
                height=HEIGHT,
            )
        )
    return charts


def _make_loss_axes(points: Sequence[tuple[int, float]]) -> tuple[Axis, Axis]:
    steps, values = [step for step, _ in points] or [0], [value for _, value in points] or [1.0]
    low, high = min(values), max(values)
    log = low > 0 and high / low >= _DECADE
    edge = 0.0 if log else 0.05 * (high - low)
    across = Axis(low=0, high=max(steps), start=LEFT, end=WIDTH - RIGHT, log=False)
    return across, Axis(low=low - edge, high=high + edge, start=HEIGHT - BOTTOM, end=TOP, log=log)


def _normalise_losses(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Divide the finite losses by the mean of their first tenth; keep them where that is 0."""
    finite = [point for point in points if math.isfinite(point[1])]
    first = finite[: math.ceil(len(finite) / 10)]
    start = sum(value for _, value in first) / len(first) if first else 0.0
    return [(step, value / (start or 1.0)) for step, value in finite]
