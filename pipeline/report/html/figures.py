"""Figures: charts of results with captions and legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.report.format import VIEWS, measure_name
from pipeline.report.html.charts import (
    DASHES,
    HUES,
    Chart,
    Key,
    css_of_class,
    css_of_curve,
    draw_scores,
    list_method_keys,
)
from pipeline.report.html.panels import Curve, draw_losses, draw_planes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.report.read.results import DatasetResults, Points, Results
    from pipeline.report.read.scores import MeasurementKey


class Figure(NamedTuple):
    """One chart or several small ones, the caption and the items of the legend."""

    charts: Sequence[Chart]
    caption: str
    legend: Sequence[Key]


def build_score_figure(
    dataset: DatasetResults, measure: MeasurementKey, results: Results
) -> Figure:
    """Return the headline's metric in the joint view against IPC.

    Args:
        dataset: whose cells.
        measure: which entries.
        results: the grid.
    """
    entry = dataset.whole[measure]
    view = VIEWS.get(entry.views[0], entry.views[0])
    metric = f"{view} {results.title_of(measure, entry.headline)}"
    positions = {(method, ipc): float(ipc) for method, ipc in dataset.cells}
    label = "instances per class (IPC)"
    chart = _draw(dataset, measure, results, label, positions, None, results.ipcs)
    return _make_figure([chart], f"{metric}; bars are 95 % intervals.", _list_keys(results))


def build_cost_figures(dataset: DatasetResults, results: Results) -> list[Figure]:
    """Return the headline against bytes, and against seconds where they are recorded.

    Args:
        dataset: whose cells.
        results: the grid.
    """
    cells, whole = dataset.cells, dataset.scoring.seconds if dataset.scoring else None
    kilobytes = {key: cell.bytes / 1000 for key, cell in cells.items()}
    seconds = {key: cell.seconds for key, cell in cells.items() if cell.seconds}
    metric = results.title_of(results.headline, dataset.whole[results.headline].headline)
    figures = []
    for label, costs, extra in (
        ("size of one artifact, kB", kilobytes, None),
        ("time of distilling and scoring, seconds", seconds, whole),
    ):
        if costs:
            chart = _draw(dataset, results.headline, results, label, costs, extra)
            caption = f"{metric} against {label}; a line joins the IPCs of a method."
            figures.append(_make_figure([chart], caption, _list_keys(results)))
    return figures


def _draw(
    dataset: DatasetResults,
    measure: MeasurementKey,
    results: Results,
    label: str,
    positions: Mapping[tuple[str, int], float],
    extra: float | None,
    ticks: Sequence[int] | None = None,
) -> Chart:
    """Draw the headline's metric in the joint view, each cell at its position on the axis."""
    series = {
        method: [
            (
                positions[method, ipc],
                f"IPC {ipc}",
                dataset.cells[method, ipc].entries[measure].joint,
            )
            for ipc in results.ipcs
            if (method, ipc) in positions
        ]
        for method in results.methods
    }
    whole = dataset.whole[measure]
    metric = results.title_of(measure, whole.headline)
    title = f"{metric} against {label} on {dataset.dataset}, {measure_name(measure)}"
    return draw_scores(title, metric, label, series, (extra, whole.joint.mean), ticks)


def build_loss_figure(dataset: DatasetResults, results: Results) -> Figure | None:
    """Return a chart per optimised method with a line per IPC, None where nothing is optimised.

    Args:
        dataset: whose cells.
        results: the grid.
    """
    panels: dict[str, list[Curve]] = {}
    for i, method in enumerate(results.methods):
        for j, ipc in enumerate(results.ipcs):
            cell = dataset.cells.get((method, ipc))
            if cell and cell.losses:
                curve = (f"{method}, IPC {ipc}", css_of_curve(i, j), cell.losses)
                panels.setdefault(method, []).append(curve)
    if not panels:
        return None
    caption = (
        "Mean over seeds, as a multiple of the mean of a curve's first tenth: methods minimise "
        "different quantities. All charts have the same axes. The losses themselves are in the "
        "file of losses."
    )
    charts = draw_losses(f"Loss while distilling on {dataset.dataset}", panels)
    keys = [Key(f"IPC {n}", f"d{j % DASHES}", line=True) for j, n in enumerate(results.ipcs)]
    return _make_figure(charts, caption, keys)


def build_plane_figure(dataset: DatasetResults, results: Results) -> Figure | None:
    """Return a chart per method: real windows and its instances on one plane; None without points.

    Colours are classes.

    Args:
        dataset: whose cells.
        results: the grid.
    """
    ipc, real, classes = dataset.ipcs[-1], dataset.projection, dataset.classes
    cells = {method: dataset.cells.get((method, ipc)) for method in results.methods}
    synthetic = {m: cell.projection for m, cell in cells.items() if cell and cell.projection}
    if not real or not synthetic:
        return None
    shifts = {method: _compute_shift(real, points) for method, points in synthetic.items()}
    listed = [f"{method} {shift:.2f}" for method, shift in shifts.items() if shift is not None]
    repeats = f" Colours repeat after {HUES} classes." if len(classes) > HUES else ""
    caption = (
        "The headline's network with random weights: two principal components of the real test "
        "windows' features, on the same axes for every method. Dots are real windows, rings "
        f"synthetic instances at IPC {ipc}; colours are classes.{repeats} Distance of the mean of "
        "a class's instances from the mean of its real windows on this plane, on average over "
        f"classes and in standard deviations of all real windows: {', '.join(listed)}."
    )
    title = f"Real and synthetic features on {dataset.dataset}"
    colours = [css_of_class(label, len(classes)) for label in range(len(classes))]
    keys = [Key(name, css, dot=True) for name, css in zip(classes[:HUES], colours, strict=False)]
    return _make_figure(draw_planes(title, real, synthetic, classes), caption, keys)


def _make_figure(charts: Sequence[Chart], caption: str, keys: Sequence[Key]) -> Figure:
    apart = " Where lines coincide, their dashes alternate."
    alternate = any(chart.alternates for chart in charts)
    return Figure(charts, caption + (apart if alternate else ""), keys)


def _compute_shift(real: Points, synthetic: Points) -> float | None:
    """Return the distance of class means, in standard deviations of the real points."""
    centres = [_compute_centres(points) for points in (real, synthetic)]
    spread = float(np.sqrt(np.var([point[:2] for point in real], axis=0).sum()))
    labels = sorted(centres[0].keys() & centres[1].keys())
    distances = [float(np.linalg.norm(centres[0][c] - centres[1][c])) for c in labels]
    return sum(distances) / len(distances) / spread if distances and spread else None


def _compute_centres(points: Points) -> dict[int, np.ndarray]:
    return {
        label: np.mean([point[:2] for point in points if point[2] == label], axis=0)
        for label in {point[2] for point in points}
    }


def _list_keys(results: Results) -> list[Key]:
    whole = Key("whole data", "whole", line=True)
    spelt = {name: results.texts.get_method(name).title for name in results.methods}
    return [*list_method_keys(spelt), whole]
