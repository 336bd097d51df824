"""results -> tables, plots, gallery"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.params import Params


def report(results: Path, out: Path, *, params: Params) -> str:
    """Gather the scores of the grid's cells into one page and one table.

    Example: avdistill report work report/index.html
    """
    return ""
