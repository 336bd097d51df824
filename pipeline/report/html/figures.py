"""The page's figures: accuracy against IPC, bytes and time, losses, and where the sets lie among the real windows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from pipeline.report.format import measure_name, view_name
from pipeline.report.html import charts as _charts
from pipeline.report.html.elements import render_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.report.read.results import CellResult, DatasetResults, Points, Results
    from pipeline.report.read.scores import MeasurementKey


def render_accuracy_figure(
    board: DatasetResults, measure: MeasurementKey, found: Results, name: str
) -> str:
    """The joint view against IPC."""
    whole = board.whole[measure]
    series = {
        m: [(ipc, board.entry_of(m, ipc, measure).joint) for ipc in found.ipcs]
        for m in found.methods
    }
    view = view_name(whole.views[0]).capitalize()
    title = f"{view} accuracy against IPC on {board.dataset}, {measure_name(measure)}"
    chart = _charts.draw_accuracy(name, title, series, whole.joint.mean)
    return render_figure(chart, f"{view} accuracy; bars are 95 % intervals.", _render_legend(found))


def render_cost_figures(board: DatasetResults, found: Results, name: str) -> str:
    """The headline against bytes, and against seconds where they are known."""
    whole = board.whole[found.headline].joint.mean
    clock = (board.scoring.seconds or None) if board.scoring else None
    figures = [
        _render_cost_figure(
            board,
            found,
            f"{name}-bytes",
            "size of one artifact, kB",
            lambda own: own.bytes / 1000,
            (None, whole),
        )
    ]
    timed = [own for own in board.cells.values() if own.seconds]
    if timed:
        figures.append(
            _render_cost_figure(
                board,
                found,
                f"{name}-time",
                "time of distilling and scoring, seconds",
                lambda own: own.seconds,
                (clock, whole),
            )
        )
    missing = len(board.cells) - len(timed) + (clock is None)
    note = (
        f"<p>{missing} of {len(board.cells) + 1} rows have no recorded time and are not in the plot of time.</p>"
        if missing
        else ""
    )
    return f'<div class="pair">{"".join(figures)}</div>{note}'


def _render_cost_figure(
    board: DatasetResults,
    found: Results,
    name: str,
    below: str,
    cost: Callable[[CellResult], float | None],
    whole: tuple[float | None, float],
) -> str:
    series = {
        method: [
            (place, f"IPC {ipc}", own.entries[found.headline].joint)
            for ipc in found.ipcs
            if (place := cost(own := board.cells[method, ipc]))
        ]
        for method in found.methods
    }
    title = f"Accuracy against {below}, on {board.dataset}"
    chart = _charts.draw_cost(name, title, below, series, whole)
    return render_figure(
        chart,
        f"Accuracy against {below}; a line joins the IPCs of a method.",
        _render_legend(found),
    )


def render_loss_figure(board: DatasetResults, found: Results, name: str) -> str:
    """One line per optimised cell: colours are methods, dashes IPCs; nothing, if all methods choose instead."""
    lines = [
        (f"{method}, IPC {ipc}", colour, dash, board.cells[method, ipc].losses)
        for colour, method in enumerate(found.methods)
        for dash, ipc in enumerate(found.ipcs)
        if board.cells[method, ipc].losses
    ]
    if not lines:
        return ""
    chart = _charts.draw_losses(name, f"Loss while distilling on {board.dataset}", lines)
    items = [
        f"{_charts.key_of_line(colour, dash)}{escape(label)}" for label, colour, dash, _ in lines
    ]
    says = "Mean over seeds, as a multiple of the mean of a curve's first tenth: methods minimise different quantities."
    return render_figure(chart, f"{says} The losses themselves are in the file of losses.", items)


def render_plane_figure(board: DatasetResults, found: Results, name: str) -> str:
    """Real and synthetic features in one plane; colours are classes, shapes methods."""
    ipc = found.ipcs[-1]
    synthetic = {method: board.cells[method, ipc].projection for method in found.methods}
    if not board.projection or not any(synthetic.values()):
        return ""
    far = [
        f"{method} {shift:.2f}"
        for method, own in synthetic.items()
        if (shift := _shift(board.projection, own)) is not None
    ]
    sentence = (
        "How far the mean of a class's instances lies from the mean of its real windows in this plane, on average over classes "
        f"and in standard deviations of all real windows: {', '.join(far)}."
    )
    says = f"{len(board.projection)} real test windows as dots and the instances of {', '.join(found.methods)} as marks. {sentence}"
    title = f"Real and synthetic features on {board.dataset}"
    chart = _charts.draw_plane(name, title, says, board.projection, synthetic, board.classes)
    keys = [f"{_charts.key_of_shape(i)}{escape(method)}" for i, method in enumerate(found.methods)]
    keys += [
        f"{_charts.key_of_class(label, len(board.classes))}{escape(one)}"
        for label, one in enumerate(board.classes[: _charts.HUES])
    ]
    rest = (
        f" Colours repeat after {_charts.HUES} classes."
        if len(board.classes) > _charts.HUES
        else ""
    )
    caption = (
        "The headline's network with random weights, two principal components of the real test windows' features. Dots are real "
        f"windows, marks synthetic instances at IPC {ipc}; colours are classes, shapes methods.{rest} {sentence}"
    )
    return render_figure(chart, caption, keys)


def _shift(real: Points, synthetic: Points) -> float | None:
    """Mean over classes of the distance between the class's means, in standard deviations of the real points."""
    means = [_means(points) for points in (real, synthetic)]
    spread = float(np.sqrt(np.var([point[:2] for point in real], axis=0).sum()))
    distances = [
        float(np.linalg.norm(means[0][label] - means[1][label]))
        for label in sorted(means[0].keys() & means[1].keys())
    ]
    return sum(distances) / len(distances) / spread if distances and spread else None


def _means(points: Points) -> Mapping[int, np.ndarray]:
    return {
        c: np.mean([point[:2] for point in points if point[2] == c], axis=0)
        for c in {point[2] for point in points}
    }


def _render_legend(found: Results) -> list[str]:
    return [
        *(f"{_charts.key_of_mark(i)}{escape(method)}" for i, method in enumerate(found.methods)),
        f"{_charts.key_of_whole()}whole data",
    ]
