"""Door to jinja2: the report as one static HTML page that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import pipeline
from pipeline.report.cells import Cell
from pipeline.report.confusions import build_confusions
from pipeline.report.data_tables import build_left_out, build_sizes, list_facts
from pipeline.report.format import VIEWS, format_count, format_interval, format_number, measure_name
from pipeline.report.html.charts import HUES
from pipeline.report.html.figures import (
    build_cost_figures,
    build_loss_figure,
    build_plane_figure,
    build_score_figure,
)
from pipeline.report.loose_tables import build_loose_tables
from pipeline.report.notes import list_notes
from pipeline.report.tables import TableBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.report.html.gallery import Gallery
    from pipeline.report.read.results import Results
    from pipeline.report.read.scores import MeasurementKey, Summary

# A browser prepares every sound that it preloads; more than this many wait until they are played.
MAX_PRELOADED = 200


def render_page(results: Results, galleries: Sequence[Mapping[str, Gallery]]) -> str:
    """Return the whole page.

    Args:
        results: everything that it shows.
        galleries: method -> stored instances, for each dataset.
    """
    templates = Environment(
        loader=PackageLoader("pipeline.report.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters["count"], templates.filters["name"] = format_count, measure_name
    templates.filters["upper_first"] = lambda text: text[:1].upper() + text[1:]
    script = templates.get_template("script.js.j2").render().encode()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    sounds = sum(gallery.sound_count for shown in galleries for gallery in shown.values())
    loose = [measure for group in results.loose.groups for measure in group[0].entries]
    protocols = dict.fromkeys(measure.protocol for measure in [*results.measures, *loose])
    known = results.texts.protocols
    return templates.get_template("page.html.j2").render(
        # No network, and no script but the one: the page cannot fetch anything.
        policy="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'",
        hues=HUES,
        preload="metadata" if sounds <= MAX_PRELOADED else "none",
        protocols={name: known[name] for name in protocols if name in known},
        sets=[_collect(results, i, shown) for i, shown in enumerate(galleries)],
        loose=list(build_loose_tables(results)),
        unread=results.loose.unread,
        settings=results.settings,
        version=pipeline.__version__,
    )


def _collect(results: Results, i: int, galleries: Mapping[str, Gallery]) -> dict[str, Any]:
    """Return the values of one dataset's section."""
    dataset, measure, ipc = results.datasets[i], results.headline, results.datasets[i].ipcs[0]
    tables, whole = TableBuilder(dataset=dataset, results=results), dataset.whole[measure]
    best = results.find_best(dataset, measure, whole.headline, whole.views[0], ipc)
    timed = [cell for cell in dataset.cells.values() if cell.seconds]
    headline, *others = _collect_scores(tables)
    return {
        **_collect_gallery(galleries),
        "id": f"set{i}",
        "results": dataset,
        "notes": list_notes(dataset, results),
        "methods": {name: results.texts.get_method(name) for name in results.methods},
        "facts": list_facts(dataset.data) if dataset.data else {},
        "sizes": build_sizes(dataset),
        "left_out": build_left_out(dataset),
        "ipc": ipc,
        "view": VIEWS.get(whole.views[0], whole.views[0]),
        "metric": tables.metric,
        "measure": measure,
        "best": [_spell_out(name, results) for name in best],
        "score": _format(dataset.cells[best[0], ipc].entries[measure].joint),
        "whole": _format(whole.joint),
        "headline": headline,
        "comparison": tables.build_comparison(),
        "cost_figures": build_cost_figures(dataset, results),
        "untimed": len(dataset.cells) + 1 - len(timed) - bool(dataset.scoring),
        "costs": tables.build_costs(),
        "ablations": tables.build_ablations(),
        "choices": tables.build_choices(),
        "others": others,
        "tasks": [_collect_task(tables, other) for other in results.other_measures],
        "students": tables.build_kd(),
        "teachers": {x.method: results.texts.get_kd_method(x.method) for x in dataset.kd},
        "confusions": build_confusions(dataset, results),
        "plane": build_plane_figure(dataset, results),
        "losses": build_loss_figure(dataset, results),
    }


def _collect_gallery(galleries: Mapping[str, Gallery]) -> dict[str, Any]:
    shown = [instance for gallery in galleries.values() for instance in gallery.shown]
    first = next(iter(galleries.values())).instances
    return {
        "galleries": galleries,
        "gallery_classes": [name for name, instances in first.items() if instances],
        "has_sounds": any(gallery.sound_count for gallery in galleries.values()),
        "has_soft_labels": any(instance.soft_labels for instance in shown),
    }


def _spell_out(method: str, results: Results) -> str:
    """Return the title of a method, and its name unless the title holds that already."""
    title = results.texts.get_method(method).title
    held = re.search(rf"\b{re.escape(method)}\b", title, re.IGNORECASE)
    return title if held else f"{title} ({method})"


def _format(summary: Summary) -> Cell:
    """Return the mean, without its deviation, and the interval."""
    mean = format_number(summary.scale * summary.mean, 1)
    return Cell(mean, interval=format_interval(summary))


def _collect_scores(tables: TableBuilder) -> list[dict[str, Any]]:
    """Return every table of the headline's task; a measurement's first has a figure."""
    dataset, results, scores = tables.dataset, tables.results, []
    for measure in results.headline_measures:
        whole = dataset.whole[measure]
        counts = sorted({cell.entries[measure].joint.n for cell in dataset.cells.values()})
        shown, _ = tables.split_metrics(measure)
        for metric in sorted(shown, key=lambda name: name != whole.headline):
            name, first = results.title_of(measure, metric), metric == whole.headline
            summary = next(iter(whole.metrics[metric].values()))
            value = {
                "summary": measure_name(measure) if first else f"{name}: {measure_name(measure)}",
                "metric": name,
                "unit": " in %" if summary.scale == 100 else "",
                "students": " or ".join(map(str, counts)),
                "whole_students": whole.joint.n,
                "chance": tables.describe_chance(measure, metric),
                "table": tables.build_scores(measure, metric),
                "left_out": tables.split_metrics(measure)[1] if first else [],
                "figure": build_score_figure(dataset, measure, results) if first else None,
            }
            scores.append(value)
    return scores


def _collect_task(tables: TableBuilder, measure: MeasurementKey) -> dict[str, Any]:
    results, metrics = tables.results, tables.dataset.whole[measure].metrics
    plain = [name for name, views in metrics.items() if next(iter(views.values())).scale == 1]
    return {
        "measure": measure,
        "about": results.texts.get_task(measure.task).about,
        "plain": [results.title_of(measure, name) for name in plain],
        "table": tables.build_task(measure),
    }
