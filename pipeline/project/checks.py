"""Values that do not fit each other: refused before the first stage, not hours later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ParamsError
from pipeline.core.params import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.params import Params

# Section of rows -> the axis of the grid that names its rows.
AXES = {"ingest": "datasets", "coreset": "selectors", "distill": "methods"}
# Keys of a method that name a selector.
STARTS = {"start", "coreset"}


def refuse_unfit(params: Params) -> None:
    """Raise a ParamsError if one section names a thing that another one lacks.

    Args:
        params: a whole params file.

    Raises:
        ParamsError: the grid names no row, a method starts from a selector that is not in the grid,
            the report's baseline is not in the grid, or a measure names no protocol.
    """
    grid, name = params.build("grid", Grid), params.name
    for section, axis in AXES.items():
        for row in getattr(grid, axis):
            _refuse_absent(row, params.get_section(section), f"{name}: grid.{axis} names", section)
    for method in grid.methods:
        row = params.get_section(f"distill.{method}")
        for key in STARTS & row.keys():
            where = f"{name}: distill.{method}.{key}"
            _refuse_outside(row[key], grid.selectors, where, "selectors")
    baseline = params.get_section("report").get("baseline")
    _refuse_outside(baseline, grid.methods, f"{name}: report.baseline", "methods")
    evaluate = params.get_section("evaluate")
    for measure in evaluate["run"]:
        if isinstance(measure, dict) and "protocol" in measure:
            where, section = f"{name}: evaluate.run names", "evaluate.protocols"
            _refuse_absent(measure["protocol"], params.get_section(section), where, section)


def _refuse_absent(row: Any, rows: Mapping[str, Any], where: str, section: str) -> None:
    if row not in rows:
        raise ParamsError(
            f"{where} {row!r}, {section} has no such row; it has {', '.join(map(str, rows))}"
        )


def _refuse_outside(row: Any, rows: Sequence[Any], where: str, axis: str) -> None:
    if row not in rows:
        raise ParamsError(
            f"{where} is {row!r}, which is not in grid.{axis}; add it there, or name one of "
            f"{', '.join(map(str, rows))}"
        )
