"""The report as one static HTML page: tables, charts, gallery and how it was measured; nothing is fetched."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pipeline
from pipeline.report.compare import compare_methods
from pipeline.report.format import format_count, format_interval, measure_name, view_name
from pipeline.report.html.confusion import render_confusion
from pipeline.report.html.elements import render_details
from pipeline.report.html.figures import (
    render_accuracy_figure,
    render_cost_figures,
    render_loss_figure,
    render_plane_figure,
)
from pipeline.report.html.gallery_table import render_gallery_table
from pipeline.report.html.glossary import render_glossary
from pipeline.report.html.script import SCRIPT, SOURCE
from pipeline.report.html.style import CSS
from pipeline.report.html.tables import (
    render_ablation_table,
    render_choice_table,
    render_comparison_table,
    render_cost_table,
    render_kd_tables,
    render_score_table,
    render_task_table,
)
from pipeline.report.read.results import find_best_methods
from pipeline.report.read.scores import ACCURACY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.report.html.gallery import Gallery
    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import MeasurementKey

# No network, and no script but the one: the page could not fetch anything if it wanted to.
_POLICY = f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src {SOURCE}"


def render_page(
    found: Results,
    galleries: Sequence[Mapping[str, Gallery]],
    recipes: Mapping[str, Mapping[str, Any]],
) -> str:
    """The whole page; `galleries`: method -> instances for each board, `recipes`: protocol -> its values."""
    title = "Distilled audio-visual sets"
    links = [
        f'<li><a href="#set{i}">{escape(board.dataset)}</a></li>'
        for i, board in enumerate(found.boards)
    ]
    links.append('<li><a href="#measured">How it was measured</a></li>')
    sounds = sum(gallery.sound_count for shown in galleries for gallery in shown.values())
    sections = [_render_dataset(found, i, shown, sounds) for i, shown in enumerate(galleries)]
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
{render_glossary(list(dict.fromkeys(measure.protocol for measure in found.measures)), recipes)}
</main>
<footer><p>Written by avdistill {escape(pipeline.__version__)}. The numbers lie beside this page in CSV, JSON, Markdown and
LaTeX.</p>
</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _render_dataset(found: Results, i: int, shown: Mapping[str, Gallery], sounds: int) -> str:
    board, rows = found.boards[i], compare_methods(found.boards[i], found)
    parts = [
        f'<h2 id="set{i}-name">{escape(board.dataset)}</h2>',
        _render_summary(board, found),
        _render_subsection(
            "Accuracy",
            f"<p>{_format_measure(found.headline)}</p>{_render_scores(board, found.headline, found, f'set{i}-chart0')}",
        ),
        _render_subsection("Comparison", render_comparison_table(board, found, rows)),
        _render_subsection(
            "What it costs",
            render_cost_figures(board, found, f"set{i}-cost") + render_cost_table(board),
        ),
        _render_subsection(
            "Ablation", render_ablation_table(board, found, rows) if len(found.methods) > 1 else ""
        ),
        _render_subsection("Other networks and heads", _render_choices(board, found)),
        _render_subsection("Other scores of recognition", _render_other_scores(board, found, i)),
        *(
            _render_subsection(f"Task: {measure.task}", render_task_table(board, measure))
            for measure in found.others
        ),
        _render_subsection("Does a teacher help?", render_kd_tables(board)),
        _render_subsection("What is taken for what", _render_confusions(board, found)),
        _render_subsection(
            "Where the sets lie among real windows",
            render_plane_figure(board, found, f"set{i}-plane"),
        ),
        _render_subsection(
            "Loss while distilling", render_loss_figure(board, found, f"set{i}-losses")
        ),
        _render_subsection(
            "What is in the sets", render_gallery_table(board, found, shown, sounds)
        ),
    ]
    return f'<section id="set{i}" aria-labelledby="set{i}-name">{"".join(parts)}</section>'


def _render_subsection(title: str, content: str) -> str:
    """A part of a section; nothing, if it has nothing to show."""
    return f"<h3>{escape(title)}</h3>{content}" if content else ""


def _render_summary(board: DatasetResults, found: Results) -> str:
    """What the smallest sets reach, beside the whole data, in two sentences."""
    measure, ipc = found.headline, found.ipcs[0]
    view = board.whole[measure].views[0]
    leaders = find_best_methods(board, measure, ACCURACY, view, found.methods, ipc)
    score, whole = board.entry_of(leaders[0], ipc, measure).joint, board.whole[measure].joint
    stored = f"{ipc} stored {'instances' if ipc > 1 else 'instance'} per class"
    ends = format_interval(ACCURACY, score, " to ")
    bracket = f" (95 % interval {ends})" if ends else ""
    return (
        f"<p>{len(board.classes)} classes, {format_count(board.train_windows)} training windows and {format_count(board.test_windows)} test "
        f"windows of one second, from {format_count(board.test_clips)} test clips. With {stored}, the highest {escape(view_name(view))} "
        f"accuracy is that of {escape(' and '.join(leaders))}: {100 * score.mean:.1f} %{bracket}. "
        f"Students trained on all {format_count(board.train_windows)} windows reach {100 * whole.mean:.1f} %.</p>"
    )


def _render_scores(
    board: DatasetResults, measure: MeasurementKey, found: Results, name: str
) -> str:
    chart = render_accuracy_figure(board, measure, found, name)
    return f'<div class="pair">{render_score_table(board, measure, ACCURACY, found)}{chart}</div>'


def _render_choices(board: DatasetResults, found: Results) -> str:
    """A table of networks and one of heads, from the entries that differ from the headline in that alone."""
    tables = []
    for field, column in (("network", 1), ("head", 2)):
        alike = [
            m
            for m in found.recognition
            if all(m[i] == found.headline[i] for i in (0, 1, 2) if i != column)
        ]
        tables += [render_choice_table(board, found, field, alike)] if len(alike) > 1 else []
    return f'<div class="pair">{"".join(tables)}</div>' if tables else ""


def _render_other_scores(board: DatasetResults, found: Results, i: int) -> str:
    """Every other recognition entry, and every other metric, each behind its name."""
    parts = []
    for j, measure in enumerate(found.recognition):
        if j:
            name = measure_name(measure)
            parts.append(
                render_details(
                    f"{name[:1].upper()}{name[1:]}",
                    _render_scores(board, measure, found, f"set{i}-chart{j}"),
                )
            )
        parts += [
            render_details(
                f"{metric}: {measure_name(measure)}",
                render_score_table(board, measure, metric, found),
            )
            for metric in board.whole[measure].metrics
            if metric != ACCURACY
        ]
    return "".join(parts)


def _render_confusions(board: DatasetResults, found: Results) -> str:
    """The headline's joint view: the best method at the largest IPC, and the whole data."""
    ipc, measure = found.ipcs[-1], found.headline
    view = board.whole[measure].views[0]
    leader = find_best_methods(board, measure, ACCURACY, view, found.methods, ipc)[0]
    rows = {
        f"{leader}, IPC {ipc}": board.entry_of(leader, ipc, measure),
        "whole data": board.whole[measure],
    }
    grids = "".join(
        render_confusion(name, board.dataset, entry.confusion[view], board.classes)
        for name, entry in rows.items()
    )
    return f'<div class="pair">{grids}</div>'


def _format_measure(measure: MeasurementKey) -> str:
    words = zip(("Protocol", "network", "head"), measure[:3], strict=True)
    return ", ".join(f"{what} <code>{escape(name)}</code>" for what, name in words) + "."
