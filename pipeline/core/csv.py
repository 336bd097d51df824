"""Door to csv: tables in UTF-8, read with line numbers, written atomically with "\\n" line ends."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.files import create_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


def read_rows(path: Path, expected: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) for each row below the header.

    A row may be short, its other cells are ""; cells beyond the header are dropped, and so are
    empty lines.

    Args:
        path: a CSV file in UTF-8, with or without a byte-order mark.
        expected: the columns, or what writes the file, for error messages.

    Raises:
        SourceError: the file is unreadable, not UTF-8 or not CSV; the message names the line.
    """
    rows = read_cells(path, expected, strict=False)
    _, header = next(rows, (1, []))
    for line, cells in rows:
        if cells:
            yield line, dict(zip(header, cells + [""] * len(header), strict=False))


def read_cells(
    path: Path, expected: str, delimiter: str = ",", *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) for every row, the header included; an empty line has no cell.

    Args:
        path: a CSV file in UTF-8, with or without a byte-order mark.
        expected: the columns, or what writes the file, for error messages.
        delimiter: between two cells.
        strict: refuse quotes that are not closed or not doubled.

    Raises:
        SourceError: as `read_rows`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=strict)
            try:
                for cells in reader:
                    yield reader.line_num, cells
            except csv.Error as error:
                raise SourceError(
                    f"{path}, line {reader.line_num}: {error}; expected {expected}"
                ) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text ({error.reason}); expected {expected}"
        ) from error
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); make it readable"
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
    writer.writerow(columns)
    writer.writerows(rows)
