"""Which classes are taken for which: a grid with its numbers, or the most confused pairs where there are too many classes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pipeline.report.html.elements import wrap_scrolling

if TYPE_CHECKING:
    from collections.abc import Sequence

# More classes than this are a list of pairs; so many of them.
MOST_CLASSES, MOST_PAIRS = 20, 12


def render_confusion(
    name: str, dataset: str, counts: Sequence[Sequence[int]], classes: Sequence[str]
) -> str:
    """`counts`: rows the true class, columns the predicted; `name`: whose they are."""
    if len(classes) > MOST_CLASSES:
        return _render_pairs(name, counts, classes)
    heads = "".join(
        f'<th scope="col"><span>{escape(predicted)}</span></th>' for predicted in classes
    )
    rows = "".join(_render_row(i, list(row), classes) for i, row in enumerate(counts))
    caption = f"{escape(name)}: rows are true classes, columns predicted ones, in % of the row."
    body = f'<thead><tr><th scope="col">true \\ predicted</th>{heads}</tr></thead><tbody>{rows}</tbody>'
    table = f'<table class="confusion"><caption><span>{caption}</span></caption>{body}</table>'
    return wrap_scrolling(table, f"Confusions on {dataset}, {name}")


def _render_row(true: int, counts: list[int], classes: Sequence[str]) -> str:
    total = sum(counts)
    cells = []
    for predicted, count in enumerate(counts):
        share = count / total if total else 0.0
        kind = f"h{min(round(9 * share), 9)}{' right' if predicted == true else ''}"
        title = escape(f"{classes[true]} taken for {classes[predicted]}: {count} of {total}")
        cells.append(f'<td class="{kind}" title="{title}">{100 * share:.0f}</td>')
    return f'<tr><th scope="row">{escape(classes[true])}</th>{"".join(cells)}</tr>'


def _render_pairs(name: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    pairs = [
        (count / sum(row), true, predicted, count, sum(row))
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if predicted != true and count
    ]
    first = sorted(pairs, key=lambda pair: (-pair[0], pair[1:3]))[:MOST_PAIRS]
    items = "".join(
        f"<li>{escape(classes[true])} taken for {escape(classes[predicted])}: {100 * share:.0f} % ({count} of {total})</li>"
        for share, true, predicted, count, total in first
    )
    return f"<div><p>{escape(name)}, the most confused pairs:</p><ol>{items}</ol></div>"
