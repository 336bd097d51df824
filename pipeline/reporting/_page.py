"""The report as one static HTML page: tables, charts, gallery and how it was measured; nothing is fetched, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pipeline
from pipeline.reporting import _charts
from pipeline.reporting._measured import measured
from pipeline.reporting._results import best
from pipeline.reporting._style import CSS

if TYPE_CHECKING:
    from pipeline.reporting._gallery import Gallery
    from pipeline.reporting._results import Board, Results

VIEWS = {"av": "audio-visual", "a": "audio", "v": "visual"}
# No network, no script: the page could not fetch anything if it wanted to.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(found: Results, galleries: Sequence[Mapping[str, Gallery]], recipes: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page; `galleries`: method -> instances for each board, `recipes`: protocol -> its values."""
    title = "Distilled audio-visual sets"
    links = [f'<li><a href="#set{i}">{escape(board.dataset)}</a></li>' for i, board in enumerate(found.boards)]
    links.append('<li><a href="#measured">How it was measured</a></li>')
    sections = [_dataset(found, i, shown) for i, shown in enumerate(galleries)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}: results</title>
<link rel="icon" href="data:,">
<style>{CSS}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header>
<h1>{title}</h1>
<p class="lead">Labelled videos, condensed into a few synthetic instances per class. Students are trained from scratch on each small
set and tested on real clips that neither they nor the method has seen.</p>
<nav aria-label="On this page"><ul>{"".join(links)}</ul></nav>
</header>
<main id="main">
{"".join(sections)}
{measured(found.protocols, recipes)}
</main>
<footer><p>Written by avdistill {escape(pipeline.__version__)}. The numbers lie beside this page in CSV, JSON and Markdown.</p>
</footer>
</body>
</html>
"""


def _dataset(found: Results, i: int, shown: Mapping[str, Gallery]) -> str:
    board = found.boards[i]
    parts = [f'<h2 id="set{i}-name">{escape(board.dataset)}</h2>', _summary(board, found)]
    for j, protocol in enumerate(found.protocols):
        chart = _accuracy_figure(board, protocol, found, f"set{i}-chart{j}")
        parts.append(f'<h3>Accuracy, protocol <code>{escape(protocol)}</code></h3><div class="pair">')
        parts.append(f"{_score_table(board, protocol, found)}{chart}</div>")
    parts.append(f"<h3>Artifacts</h3>{_byte_table(board, found)}")
    parts.append(_loss_figure(board, found, f"set{i}-losses"))
    parts.append(_gallery_table(board, found, shown))
    return f'<section id="set{i}" aria-labelledby="set{i}-name">{"".join(parts)}</section>'


def _summary(board: Board, found: Results) -> str:
    """What the smallest sets reach, beside the whole data, in two sentences."""
    protocol, view, ipc = found.protocols[0], board.views[0], found.ipcs[0]
    leaders = best(board, protocol, view, found.methods, ipc)
    score, whole = board.cells[leaders[0], ipc].scores[protocol][view], board.whole[protocol][view]
    stored = f"{ipc} stored {'instances' if ipc > 1 else 'instance'} per class"
    return (
        f"<p>{board.classes} classes, {_count(board.train_windows)} training windows and {_count(board.test_windows)} test windows "
        f"of one second. With {stored}, the highest {_name(view)} accuracy is that of {escape(' and '.join(leaders))}: "
        f"{100 * score['mean']:.1f} % (95 % interval {_interval(score)}). Students trained on all {_count(board.train_windows)} "
        f"windows reach {100 * whole['mean']:.1f} %.</p>"
    )


def _score_table(board: Board, protocol: str, found: Results) -> str:
    """The published layout, once per view: rows are IPCs, columns methods, the whole data come last."""
    counts = sorted({str(c.scores[protocol][v]["n"]) for c in board.cells.values() for v in board.views})
    whole_counts = sorted({str(x["n"]) for x in board.whole[protocol].values()})
    heads = "".join(f'<th scope="col">{escape(method)}</th>' for method in found.methods)
    bodies = []
    for view in board.views:
        label = f'<tr><th scope="rowgroup" colspan="{len(found.methods) + 1}">{_name(view).capitalize()} ({escape(view)})</th></tr>'
        rows = [_score_row(board, protocol, view, found.methods, ipc) for ipc in found.ipcs]
        whole = _score(board.whole[protocol][view], f' colspan="{len(found.methods)}"', leads=False)
        bodies.append(f'<tbody>{label}{"".join(rows)}<tr class="whole"><th scope="row">whole data</th>{whole}</tr></tbody>')
    caption = (
        f"<span>Accuracy in %: mean ± standard deviation over n&nbsp;=&nbsp;{' or '.join(counts)} students per cell "
        f"({' or '.join(whole_counts)} for the whole data), and below it the 95&nbsp;% interval. "
        "Bold: the highest mean of a row.</span>"
    )
    table = f'<table><caption>{caption}</caption><thead><tr><th scope="col">IPC</th>{heads}</tr></thead>{"".join(bodies)}</table>'
    return _scrolling(table, f"Accuracy on {board.dataset}, protocol {protocol}")


def _score_row(board: Board, protocol: str, view: str, methods: Sequence[str], ipc: int) -> str:
    leaders = best(board, protocol, view, tuple(methods), ipc)
    cells = [_score(board.cells[method, ipc].scores[protocol][view], "", leads=method in leaders) for method in methods]
    return f'<tr><th scope="row">{ipc}</th>{"".join(cells)}</tr>'


def _score(score: Mapping[str, float], attributes: str, *, leads: bool) -> str:
    text = f"{100 * score['mean']:.1f} ± {100 * score['std']:.1f}"
    title = f"95 % interval {_interval(score)}, n = {score['n']}"
    low, high = 100 * score["low"], 100 * score["high"]
    shown = f"<strong>{text}</strong>" if leads else text
    return f'<td{attributes} title="{title}">{shown}<small>{low:.1f}&ndash;{high:.1f}</small></td>'


def _accuracy_figure(board: Board, protocol: str, found: Results, name: str) -> str:
    view = board.views[0]
    series = {m: [(ipc, board.cells[m, ipc].scores[protocol][view]) for ipc in found.ipcs] for m in found.methods}
    title = f"{_name(view).capitalize()} accuracy against IPC on {board.dataset}, protocol {protocol}"
    chart = _charts.accuracy(name, title, series, board.whole[protocol][view]["mean"])
    items = [f"<li>{_charts.key_of_mark(i)}{escape(method)}</li>" for i, method in enumerate(found.methods)]
    items.append(f"<li>{_charts.key_of_whole()}whole data</li>")
    caption = f"{_name(view).capitalize()} accuracy; bars are 95 % intervals."
    return f'<figure>{chart}<figcaption>{caption}<ul class="legend">{"".join(items)}</ul></figcaption></figure>'


def _byte_table(board: Board, found: Results) -> str:
    heads = "".join(f'<th scope="col">{escape(method)}</th>' for method in found.methods)
    rows = []
    for ipc in found.ipcs:
        sizes = [board.cells[method, ipc].bytes for method in found.methods]
        row = "".join(f'<td title="{_count(size)} bytes">{_count(round(size / 1000, 1))}</td>' for size in sizes)
        rows.append(f'<tr><th scope="row">{ipc}</th>{row}</tr>')
    place = f"<code>{escape(board.dataset)}/&lt;method&gt;/ipc&lt;IPC&gt;/published/</code>"
    caption = f"<span>Size of one artifact in kB (1000 bytes), as evaluated. The published ones lie in {place}.</span>"
    body = f'<thead><tr><th scope="col">IPC</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
    table = f"<table><caption>{caption}</caption>{body}</table>"
    return _scrolling(table, f"Artifact sizes on {board.dataset}")


def _loss_figure(board: Board, found: Results, name: str) -> str:
    """One line per optimised cell: colours are methods, dashes IPCs; nothing, if all methods choose instead."""
    lines = [
        (f"{method}, IPC {ipc}", colour, dash, board.cells[method, ipc].losses)
        for colour, method in enumerate(found.methods)
        for dash, ipc in enumerate(found.ipcs)
        if board.cells[method, ipc].losses
    ]
    if not lines:
        return ""
    chart = _charts.losses(name, f"Loss while distilling on {board.dataset}", lines)
    items = [f"<li>{_charts.key_of_line(colour, dash)}{escape(label)}</li>" for label, colour, dash, _ in lines]
    caption = "Mean over seeds. Methods minimise different quantities, so compare the shapes of curves, not their heights."
    legend = f'<ul class="legend">{"".join(items)}</ul>'
    return f"<h3>Loss while distilling</h3><figure>{chart}<figcaption>{caption}{legend}</figcaption></figure>"


def _gallery_table(board: Board, found: Results, shown: Mapping[str, Gallery]) -> str:
    """Rows are classes, columns methods: the instances themselves, at the smallest IPC; nothing, if none is asked for."""
    ipc = found.ipcs[0]
    classes = [name for name, instances in next(iter(shown.values())).instances.items() if instances]
    if not classes:
        return ""
    heads = [
        f'<th scope="col">{escape(method)}<small>{g.pieces} {"piece" if g.pieces == 1 else "pieces"} each</small></th>'
        for method, g in shown.items()
    ]
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_gallery_cell(name, method, ipc, g) for method, g in shown.items())}</tr>'
        for name in classes
    ]
    caption = (
        f"<span>The first stored instances of each class at IPC {ipc}, first seed: the frame, and beside it the log-mel with low "
        "frequencies at the bottom, from two standard deviations below the training mean (dark) to two above (bright).</span>"
    )
    body = f'<thead><tr><th scope="col">class</th>{"".join(heads)}</tr></thead><tbody>{"".join(rows)}</tbody>'
    table = f'<table class="gallery"><caption>{caption}</caption>{body}</table>'
    return f"<h3>What is in the sets</h3>{_scrolling(table, f'Stored instances on {board.dataset}')}"


def _gallery_cell(name: str, method: str, ipc: int, gallery: Gallery) -> str:
    groups = []
    for number, pictures in enumerate(gallery.instances[name], start=1):
        says = f"{name}, {method}, {ipc} per class, stored instance {number}"
        images = [
            f'<img src="{p.uri}" width="{p.width}" height="{p.height}" alt="{escape(f"{says}: {p.name}")}">' for p in pictures
        ]
        groups.append(f"<span>{''.join(images)}</span>")
    return f'<td><div class="shown">{"".join(groups)}</div></td>'


def _scrolling(table: str, label: str) -> str:
    """A box that scrolls sideways on a narrow screen, by keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'


def _name(view: str) -> str:
    return escape(VIEWS.get(view, view))


def _interval(score: Mapping[str, float]) -> str:
    return f"{100 * score['low']:.1f} to {100 * score['high']:.1f}"


def _count(number: float) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
