"""The few pieces of HTML that every part of the page is made of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def wrap_scrolling(table: str, label: str) -> str:
    """A box that scrolls sideways on a narrow screen, by keyboard too."""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'
    )


def render_table(
    label: str, caption: str, heads: str, bodies: str, *, kind: str = "sortable"
) -> str:
    """A table in its box: `caption` and the rows are HTML, `label` says what it is about."""
    parts = f"<caption><span>{caption}</span></caption><thead>{heads}</thead>{bodies}"
    return wrap_scrolling(f'<table class="{kind}">{parts}</table>', label)


def render_heads(names: Sequence[str]) -> str:
    """One row of column heads, each of which can be sorted by."""
    return f"<tr>{''.join(render_head(name, column) for column, name in enumerate(names))}</tr>"


def render_head(name: str, column: int, attributes: str = "") -> str:
    """The head of the column with this number, from 0."""
    return f'<th scope="col" data-column="{column}"{attributes}>{escape(name)}</th>'


def render_cell(text: str, value: float | None = None, attributes: str = "") -> str:
    """A cell that sorts by `value`, or by its text."""
    by = "" if value is None else f' data-value="{value:.6g}"'
    return f"<td{by}{attributes}>{text}</td>"


def render_row(name: str, cells: Sequence[str], attributes: str = "") -> str:
    """A row with its head."""
    return f'<tr{attributes}><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'


def render_details(summary: str, content: str) -> str:
    """What opens when asked for; `summary` is plain text."""
    return (
        f'<details class="more"><summary>{escape(summary)}</summary><div>{content}</div></details>'
    )


def render_figure(chart: str, caption: str, legend: Sequence[str] = ()) -> str:
    """A chart, its caption in plain text, and the items of its legend in HTML."""
    items = "".join(f"<li>{item}</li>" for item in legend)
    keys = f'<ul class="legend">{items}</ul>' if items else ""
    return f"<figure>{chart}<figcaption>{escape(caption)}{keys}</figcaption></figure>"
