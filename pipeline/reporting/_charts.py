"""Charts as SVG for a page that brings the colours: .s0, .s1 ... are series, .d0, .d1 ... dashes; nothing is fetched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
COLOURS, DASHES = 8, 4
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

    def at(self, value: float) -> float:
        """The pixel of a value; the middle, if there is one value only."""
        low, high, place = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        share = (place - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round numbers on the axis: four to seven of them, or decades."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            parts = (1, 2, 5) if len(decades) <= 3 else (1,)
            return [tick for decade in decades for part in parts if self.low <= (tick := part * 10.0**decade) <= self.high]
        span = max(self.high - self.low, 1e-9)
        power = 10.0 ** math.floor(math.log10(span / 6))
        step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def accuracy(name: str, title: str, series: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]], whole: float) -> str:
    """Accuracy against IPC: for each method (ipc, summary), bars for the intervals, and the whole data as a dashed line."""
    points = [point for values in series.values() for point in values]
    ipcs = sorted({ipc for ipc, _ in points})
    low = 20 * math.floor(5 * min(x["low"] for _, x in points))
    high = 20 * math.ceil(5 * max(whole, *(x["high"] for _, x in points)))
    across = Axis(low=ipcs[0], high=ipcs[-1], start=LEFT + 46, end=WIDTH - RIGHT - 46, log=True)
    up = Axis(low=low, high=max(high, low + 20), start=HEIGHT - BOTTOM, end=TOP, log=False)
    parts = [_axes(across, ipcs, "instances per class (IPC)", up, "accuracy, %")]
    ceiling = up.at(100 * whole)
    # The label stands where there is room: on the left, where sets are smallest, and below the line if that runs along the top.
    label = ceiling + 14 if ceiling < TOP + 16 else ceiling - 6
    parts.append(f'<path class="whole" d="M{LEFT} {ceiling}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text class="note" x="{LEFT + 2}" y="{label}">whole data {100 * whole:.1f}</text>')
    for i, (method, values) in enumerate(series.items()):
        aside = 8 * (i - (len(series) - 1) / 2)  # side by side, so that the bars of equal methods stay readable
        places = [(across.at(ipc) + aside, ipc, x) for ipc, x in values]
        parts.append(f'<g class="s{i % COLOURS}">{_line([(x, up.at(100 * s["mean"])) for x, _, s in places])}')
        for x, ipc, summary in places:
            mean, bottom, top = (100 * summary[key] for key in ("mean", "low", "high"))
            says = f"{method}, {ipc} per class: {mean:.1f} %, interval {bottom:.1f} to {top:.1f}"
            parts.append(f'<g><title>{escape(says)}</title><path d="M{x} {up.at(bottom)}V{up.at(top)}"/>')
            parts.append(f'<g class="mark" transform="translate({x} {up.at(mean)})">{SHAPES[i % len(SHAPES)]}</g></g>')
        parts.append("</g>")
    says = f"Accuracy of {', '.join(series)} at IPC {_list(ipcs)}; whole data {100 * whole:.1f} %. The table holds the numbers."
    return _svg(name, title, says, parts)


def losses(name: str, title: str, series: Sequence[tuple[str, int, int, Sequence[tuple[int, float]]]]) -> str:
    """Loss against step; a line is (label, colour, dash, points). Logarithmic if the losses span a decade and are positive."""
    drawn = [(label, colour, dash, [p for p in points if math.isfinite(p[1])]) for label, colour, dash, points in series]
    steps = [step for *_, points in drawn for step, _ in points] or [0]
    values = [value for *_, points in drawn for _, value in points] or [0.0]
    log = min(values) > 0 and max(values) / min(values) >= _DECADE
    edge = 0.0 if log else 0.05 * (max(values) - min(values))
    across = Axis(low=0, high=max(steps), start=LEFT, end=WIDTH - RIGHT, log=False)
    up = Axis(low=min(values) - edge, high=max(values) + edge, start=HEIGHT - BOTTOM, end=TOP, log=log)
    parts = [_axes(across, across.ticks(), "step", up, "loss, logarithmic" if log else "loss")]
    for label, colour, dash, points in drawn:
        line = _line([(across.at(step), up.at(value)) for step, value in points])
        parts.append(f'<g class="thin s{colour % COLOURS} d{dash % DASHES}"><title>{escape(label)}</title>{line}</g>')
    return _svg(name, title, f"Mean loss over seeds of {', '.join(label for label, *_ in drawn)} against the step.", parts)


def key_of_mark(i: int) -> str:
    """The small mark of method `i` in a legend."""
    mark = f'<g class="mark">{SHAPES[i % len(SHAPES)]}</g>'
    return f'<svg class="key s{i % COLOURS}" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/>{mark}</svg>'


def key_of_line(colour: int, dash: int) -> str:
    """The short line of a loss curve in a legend."""
    classes = f"key s{colour % COLOURS} d{dash % DASHES}"
    return f'<svg class="{classes}" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/></svg>'


def key_of_whole() -> str:
    """The dashed line of the whole data in a legend."""
    return '<svg class="key whole" viewBox="-14 -7 28 14" aria-hidden="true"><path d="M-14 0H14"/></svg>'


def _axes(across: Axis, marked: Sequence[float], below: str, up: Axis, beside: str) -> str:
    ground = HEIGHT - BOTTOM
    parts = [f'<path class="grid" d="M{LEFT} {up.at(tick)}H{WIDTH - RIGHT}"/>' for tick in up.ticks()]
    parts += [f'<text x="{LEFT - 8}" y="{up.at(tick) + 4}" text-anchor="end">{tick:g}</text>' for tick in up.ticks()]
    parts += [f'<text x="{across.at(tick)}" y="{ground + 19}" text-anchor="middle">{tick:g}</text>' for tick in marked]
    parts.append(f'<path class="axis" d="M{LEFT} {ground}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text class="note" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{below}</text>')
    parts.append(
        f'<text class="note" transform="translate(13 {(TOP + ground) / 2}) rotate(-90)" text-anchor="middle">{beside}</text>'
    )
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="line" d="M{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>' if points else ""


def _svg(name: str, title: str, says: str, parts: Sequence[str]) -> str:
    head = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(says)}</desc>'
    labels = f'role="img" aria-labelledby="{name}-t" aria-describedby="{name}-d"'
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" {labels}>{head}{"".join(parts)}</svg>'


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
