"""Charts as SVG for a page that brings the colours: .s0, .s1 ... are series, .c0, .c1 ... classes, .d0, .d1 ... dashes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.report.read.results import Points
    from pipeline.report.read.scores import Summary

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
COLOURS, DASHES, HUES = 8, 4, 12
# Shapes, so that colour is never the only difference; drawn around 0, 0.
SHAPES = (
    '<circle r="4.2"/>',
    '<rect x="-3.8" y="-3.8" width="7.6" height="7.6"/>',
    '<path d="M0-5.4 5.4 0 0 5.4-5.4 0z"/>',
    '<path d="M0-5.2 5 3.8-5 3.8z"/>',
    '<path d="M0 5.2 5-3.8-5-3.8z"/>',
)
_DECADE = 10.0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` on the pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def to_pixel(self, value: float) -> float:
        """The pixel of a value; the middle, if there is one value only."""
        low, high, place = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        share = (place - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def compute_ticks(self) -> list[float]:
        """Round numbers on the axis: four to seven of them; decades and parts of decades, if that gives two or more."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            parts = (1, 2, 5) if len(decades) <= 3 else (1,)
            found = [
                tick
                for decade in decades
                for part in parts
                if self.low <= (tick := part * 10.0**decade) <= self.high
            ]
            if len(found) > 1:
                return found
        span = max(self.high - self.low, 1e-9)
        power = 10.0 ** math.floor(math.log10(span / 6))
        step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def draw_accuracy(
    name: str, title: str, series: Mapping[str, Sequence[tuple[int, Summary]]], whole: float
) -> str:
    """Accuracy against IPC: for each method (ipc, summary), bars for the intervals, and the whole data as a dashed line."""
    ipcs = sorted({ipc for values in series.values() for ipc, _ in values})
    across = Axis(low=ipcs[0], high=ipcs[-1], start=LEFT + 46, end=WIDTH - RIGHT - 46, log=True)
    up = _build_percent_axis([x for values in series.values() for _, x in values], whole)
    parts = [
        _draw_axes(across, ipcs, "instances per class (IPC)", up, "accuracy, %"),
        _draw_upper_bound(up, whole),
    ]
    for i, (method, values) in enumerate(series.items()):
        aside = 8 * (
            i - (len(series) - 1) / 2
        )  # side by side, so that the bars of equal methods stay readable
        marks = [
            (across.to_pixel(ipc) + aside, x, f"{method}, {ipc} per class") for ipc, x in values
        ]
        parts.append(_draw_series(i, marks, up))
    says = f"Accuracy of {', '.join(series)} at IPC {_join_numbers(ipcs)}; whole data {100 * whole:.1f} %. The table holds the numbers."
    return _wrap_svg(name, title, says, parts)


def draw_cost(
    name: str,
    title: str,
    below: str,
    series: Mapping[str, Sequence[tuple[float, str, Summary]]],
    whole: tuple[float | None, float],
) -> str:
    """Accuracy against what a set costs, on a logarithmic axis: for each method (cost, label, summary).

    Args:
        below: what the axis shows, with its unit; `whole`: cost and accuracy of the whole data, the cost None if not known.
    """
    cost, mean = whole
    costs = [x for values in series.values() for x, *_ in values] + [cost] * (cost is not None)
    known = [x for x in costs if x is not None]
    across = Axis(
        low=min(known) / 1.3, high=max(known) * 1.3, start=LEFT, end=WIDTH - RIGHT, log=True
    )
    up = _build_percent_axis([x for values in series.values() for *_, x in values], mean)
    parts = [
        _draw_axes(across, across.compute_ticks(), below, up, "accuracy, %"),
        _draw_upper_bound(up, mean),
    ]
    for i, (method, values) in enumerate(series.items()):
        parts.append(
            _draw_series(
                i,
                [
                    (across.to_pixel(x), summary, f"{method}, {label}")
                    for x, label, summary in values
                ],
                up,
            )
        )
    if cost is not None:
        star = f'<g class="mark" transform="translate({across.to_pixel(cost)} {up.to_pixel(100 * mean)})"><circle r="4.2"/></g>'
        parts.append(
            f'<g class="whole-mark"><title>whole data: {100 * mean:.1f} %</title>{star}</g>'
        )
    says = f"Accuracy of {', '.join(series)} against {below}; whole data {100 * mean:.1f} %. The tables hold the numbers."
    return _wrap_svg(name, title, says, parts)


def draw_plane(
    name: str,
    title: str,
    says: str,
    real: Points,
    synthetic: Mapping[str, Points],
    classes: Sequence[str],
) -> str:
    """Real windows as small dots, synthetic instances as marks: colours are classes, shapes methods; one scale for both axes."""
    points = [*real, *(point for own in synthetic.values() for point in own)] or [(0.0, 0.0, 0)]
    lows, highs = ([pick(point[i] for point in points) for i in (0, 1)] for pick in (min, max))
    edge, side = 12, HEIGHT - 2 * 12
    span = max(highs[0] - lows[0], (highs[1] - lows[1]) * (WIDTH - 2 * edge) / side, 1e-9)
    unit = (WIDTH - 2 * edge) / span
    middle = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]

    def format_point(x: float, y: float) -> str:
        return f"{WIDTH / 2 + unit * (x - middle[0]):.1f} {HEIGHT / 2 - unit * (y - middle[1]):.1f}"

    dots = [
        f'<path class="c{_hue_of(label, len(classes))}" d="M{format_point(x, y)}h0"/>'
        for x, y, label in real
    ]
    parts = [f'<g class="dots">{"".join(dots)}</g>']
    for i, (method, own) in enumerate(synthetic.items()):
        for x, y, label in own:
            mark = f'<g class="mark" transform="translate({format_point(x, y)})">{SHAPES[i % len(SHAPES)]}</g>'
            parts.append(
                f'<g class="c{_hue_of(label, len(classes))}"><title>{escape(f"{classes[label]}, {method}")}</title>{mark}</g>'
            )
    return _wrap_svg(name, title, says, parts)


def draw_losses(
    name: str, title: str, series: Sequence[tuple[str, int, int, Sequence[tuple[int, float]]]]
) -> str:
    """Losses against the step, each as a multiple of its own start; a line is (label, colour, dash, points).

    The start is the mean of the first tenth of the points, as single steps are noisy. Logarithmic if the multiples span a decade.
    """
    drawn = [
        (label, colour, dash, _normalise_losses(points)) for label, colour, dash, points in series
    ]
    steps = [step for *_, points in drawn for step, _ in points] or [0]
    values = [value for *_, points in drawn for _, value in points] or [1.0]
    log = min(values) > 0 and max(values) / min(values) >= _DECADE
    edge = 0.0 if log else 0.05 * (max(values) - min(values))
    across = Axis(low=0, high=max(steps), start=LEFT, end=WIDTH - RIGHT, log=False)
    up = Axis(
        low=min(values) - edge, high=max(values) + edge, start=HEIGHT - BOTTOM, end=TOP, log=log
    )
    parts = [
        _draw_axes(
            across,
            across.compute_ticks(),
            "step",
            up,
            "loss / its start, logarithmic" if log else "loss / its start",
        )
    ]
    for label, colour, dash, points in drawn:
        line = _draw_line([(across.to_pixel(step), up.to_pixel(value)) for step, value in points])
        parts.append(
            f'<g class="thin s{colour % COLOURS} d{dash % DASHES}"><title>{escape(label)}</title>{line}</g>'
        )
    says = f"Mean loss over seeds of {', '.join(label for label, *_ in drawn)} against the step, as multiples of their starts."
    return _wrap_svg(name, title, says, parts)


def _normalise_losses(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The finite losses, divided by the mean of their first tenth; as they are, if that is 0."""
    finite = [point for point in points if math.isfinite(point[1])]
    first = finite[: math.ceil(len(finite) / 10)]
    start = sum(value for _, value in first) / len(first) if first else 0.0
    return [(step, value / (start or 1.0)) for step, value in finite]


def key_of_mark(i: int) -> str:
    """The small mark of method `i` in a legend."""
    mark = f'<g class="mark">{SHAPES[i % len(SHAPES)]}</g>'
    return f'<svg class="key s{i % COLOURS}" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/>{mark}</svg>'


def key_of_shape(i: int) -> str:
    """The mark of method `i` where colours mean classes."""
    mark = f'<g class="mark">{SHAPES[i % len(SHAPES)]}</g>'
    return f'<svg class="key" viewBox="-14 -7 28 14" aria-hidden="true">{mark}</svg>'


def key_of_class(label: int, classes: int) -> str:
    """The dot of a class, of so many."""
    return f'<svg class="key c{_hue_of(label, classes)}" viewBox="-14 -7 28 14" aria-hidden="true"><path class="dot" d="M0 0h0"/></svg>'


def key_of_line(colour: int, dash: int) -> str:
    """The short line of a loss curve in a legend."""
    classes = f"key s{colour % COLOURS} d{dash % DASHES}"
    return f'<svg class="{classes}" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/></svg>'


def key_of_whole() -> str:
    """The dashed line of the whole data in a legend."""
    return '<svg class="key whole" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/></svg>'


def _hue_of(label: int, classes: int) -> int:
    """Few classes stand far apart on the wheel, many go around it again and again."""
    return label * HUES // classes if classes < HUES else label % HUES


def _build_percent_axis(summaries: Sequence[Summary], whole: float) -> Axis:
    """The axis of accuracies in percent, by twenties, with room for every interval and the whole data."""
    lows = [x.mean if x.low is None else x.low for x in summaries]
    highs = [x.mean if x.high is None else x.high for x in summaries]
    high = min(max(20 * math.ceil(5 * max(*highs, whole)), 20), 100)
    low = min(20 * math.floor(5 * min(*lows, whole)), high - 20)
    return Axis(low=low, high=high, start=HEIGHT - BOTTOM, end=TOP, log=False)


def _draw_upper_bound(up: Axis, whole: float) -> str:
    """The whole data's dashed line; its label stands where there is room: on the left, below the line if that runs on top."""
    place = up.to_pixel(100 * whole)
    label = place + 14 if place < TOP + 16 else place - 6
    line = f'<path class="whole" d="M{LEFT} {place}H{WIDTH - RIGHT}"/>'
    return (
        f'{line}<text class="note" x="{LEFT + 2}" y="{label}">whole data {100 * whole:.1f}</text>'
    )


def _draw_series(i: int, marks: Sequence[tuple[float, Summary, str]], up: Axis) -> str:
    """One method's line, bars and marks; a mark is (pixel, summary, what it is)."""
    parts = [_draw_line([(x, up.to_pixel(100 * summary.mean)) for x, summary, _ in marks])]
    for x, summary, what in marks:
        says, bar = f"{what}: {100 * summary.mean:.1f} %", ""
        if summary.low is not None and summary.high is not None:
            says += f", interval {100 * summary.low:.1f} to {100 * summary.high:.1f}"
            bar = f'<path d="M{x} {up.to_pixel(100 * summary.low)}V{up.to_pixel(100 * summary.high)}"/>'
        mark = f'<g class="mark" transform="translate({x} {up.to_pixel(100 * summary.mean)})">{SHAPES[i % len(SHAPES)]}</g>'
        parts.append(f"<g><title>{escape(says)}</title>{bar}{mark}</g>")
    return f'<g class="s{i % COLOURS}">{"".join(parts)}</g>'


def _draw_axes(across: Axis, marked: Sequence[float], below: str, up: Axis, beside: str) -> str:
    ground = HEIGHT - BOTTOM
    parts = [
        f'<path class="grid" d="M{LEFT} {up.to_pixel(tick)}H{WIDTH - RIGHT}"/>'
        for tick in up.compute_ticks()
    ]
    parts += [
        f'<text x="{LEFT - 8}" y="{up.to_pixel(tick) + 4}" text-anchor="end">{tick:g}</text>'
        for tick in up.compute_ticks()
    ]
    parts += [
        f'<text x="{across.to_pixel(tick)}" y="{ground + 19}" text-anchor="middle">{tick:g}</text>'
        for tick in marked
    ]
    parts.append(f'<path class="axis" d="M{LEFT} {ground}H{WIDTH - RIGHT}"/>')
    parts.append(
        f'<text class="note" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{below}</text>'
    )
    parts.append(
        f'<text class="note" transform="translate(13 {(TOP + ground) / 2}) rotate(-90)" text-anchor="middle">{beside}</text>'
    )
    return "".join(parts)


def _draw_line(points: Sequence[tuple[float, float]]) -> str:
    return (
        f'<path class="line" d="M{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>' if points else ""
    )


def _wrap_svg(name: str, title: str, says: str, parts: Sequence[str]) -> str:
    head = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(says)}</desc>'
    labels = f'role="img" aria-labelledby="{name}-t" aria-describedby="{name}-d"'
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" {labels}>{head}{"".join(parts)}</svg>'
    )


def _join_numbers(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
