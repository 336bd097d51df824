"""Read the table of a user's own clips, `clips.csv`, in any of the ways in which people save it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import SourceError
from pipeline.core.paths import convert_unreadable, join_path, make_absolute
from pipeline.datasets.adapters._lists import parse_label, parse_split
from pipeline.datasets.tables import parse_seconds, read_rows

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = "path,label[,split][,start,end][,group]"
KNOWN = ("path", "label", "split", "start", "end", "group")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of a table of clips.

    Args:
        where: the table and the line, for messages.
        path: relative to the table's folder, absolute, or a URL.
        label: its class.
        split: train, val or test; "" if the row has none.
        start_s: seconds from the file's first presentation time.
        end_s: the same; None means the end of the file.
        group: clips of one group stay in one split; "" if the row has none.
    """

    where: str
    path: str
    label: str
    split: str
    start_s: float
    end_s: float | None
    group: str


def read_clip_rows(table: Path) -> list[TableRow]:
    """Return the rows of a table of clips.

    Args:
        table: a CSV with COLUMNS.

    Raises:
        SourceError: a cell or the table is wrong; the message names the line.
    """
    rows = []
    lines: dict[tuple[object, ...], int] = {}
    for line, cells in read_rows(table, COLUMNS, KNOWN, KNOWN[:2]):
        row = _parse_row(f"{table}, line {line}", table.parent, cells)
        place = make_absolute(join_path(table.parent, row.path))
        first = lines.setdefault((place, row.label, row.start_s, row.end_s), line)
        if first != line:
            raise SourceError(
                f"{table}, lines {first} and {line}: the same path, label and span, listed twice; "
                "remove one of the rows"
            )
        rows.append(row)
    if not rows:
        raise SourceError(
            f"{table} has no rows; expected the columns {COLUMNS} and one row per clip"
        )
    return rows


def _parse_row(where: str, folder: Path, row: dict[str, str]) -> TableRow:
    cells = {name: row.get(name, "").strip() for name in KNOWN}
    for name in KNOWN[:2]:
        if not cells[name]:
            raise SourceError(f"{where}: the {name} is empty; fill it in or remove the row")
    start, end = _parse_span(where, cells["start"], cells["end"])
    return TableRow(
        where=where,
        path=_choose_path(folder, row["path"]),
        label=parse_label(where, cells["label"]),
        split=parse_split(where, cells["split"]) if cells["split"] else "",
        start_s=start,
        end_s=end,
        group=cells["group"],
    )


def _parse_span(where: str, first: str, last: str) -> tuple[float, float | None]:
    try:
        start, end = parse_seconds(first) or 0.0, parse_seconds(last)
    except ValueError as error:
        raise SourceError(f"{where}: start and end must be seconds, {error}") from error
    if start < 0 or (end is not None and not start < end < math.inf):
        raise SourceError(
            f"{where}: the span is {start} to {end}; start must be 0 or more and end after it"
        )
    return start, end


def _choose_path(folder: Path, cell: str) -> str:
    """Return the path of a cell: without the spaces around it, and with / for Windows' \\.

    A file whose name has those spaces or a \\ in it goes before.
    """
    text = cell.strip()
    if "://" in text:
        return text
    spellings = dict.fromkeys([text, cell, text.replace("\\", "/")])
    with convert_unreadable(folder / text):
        return next((s for s in spellings if join_path(folder, s).is_file()), text)
