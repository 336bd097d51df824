"""Door to csv: the tables that this package writes, atomically, in UTF-8 with "\\n" line ends."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.files import create_file
from pipeline.core.paths import convert_unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


def read_rows(path: Path, expected: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) for each row below the header.

    A row may be short, its other cells are ""; cells beyond the header are dropped, and so are
    empty lines. Tables of other people are read by pipeline/datasets/tables.py.

    Args:
        path: a CSV file in UTF-8, with or without a byte-order mark.
        expected: the columns, or what writes the file, for error messages.

    Raises:
        SourceError: the file is unreadable, not UTF-8 or not CSV; the message names the line.
    """
    try:
        with convert_unreadable(path), path.open(newline="", encoding="utf-8-sig") as stream:
            rows = parse_lines(path, stream)
            _, header = next(rows, (1, []))
            for line, cells in rows:
                if cells:
                    yield line, dict(zip(header, cells + [""] * len(header), strict=False))
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text ({error.reason}); expected {expected}"
        ) from error


def parse_lines(
    path: Path, lines: Iterable[str], delimiter: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each row; an empty line has no cell.

    Args:
        path: of the table, for the message.
        lines: with their ends.
        delimiter: between two cells.

    Raises:
        SourceError: a quote is not closed.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(
            f"{path}, line {start}: a quote that opens there is not closed ({error}); "
            "close it, or write two quotes for one inside of a cell"
        ) from error


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, atomically.

    Args:
        path: the file.
        columns: its header.
        rows: cells in the order of the columns; None becomes an empty cell.
    """
    with create_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        _write(stream, columns, rows)


def format_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the text that `write_rows` writes.

    Args:
        columns: the header.
        rows: cells in the order of the columns.
    """
    stream = io.StringIO()
    _write(stream, columns, rows)
    return stream.getvalue()


def _write(stream: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    # Python quotes no cell with another line end than its own, and reads two rows of it.
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    for row in rows:
        (quoting if any("\r" in str(cell) for cell in row) else writer).writerow(row)
