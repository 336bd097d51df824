"""Read tables and lists as other people save them, with line numbers.

Text may be UTF-8 or UTF-16, with or without a byte-order mark, with any line end. Between cells
stand commas, semicolons or tabs.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from contextlib import contextmanager
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.core.csv import parse_lines
from pipeline.core.errors import SourceError
from pipeline.core.paths import convert_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

# The first bytes of a text file -> its encoding; UTF-32's mark begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What may stand between two cells; of equal ones the first is taken, for a label may hold a comma.
DELIMITERS = ("\t", ",", ";")
# The first line of some of Excel's files: the delimiter of the others.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
# Cells that hold no number.
ABSENT = {"", "nan", "none", "null"}
NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
# Either 1234 or 1.234.
AMBIGUOUS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
CLOCK = re.compile(r"(?:([0-9]+):)?([0-5]?[0-9]):([0-5]?[0-9](?:[.,][0-9]+)?)")


def read_rows(
    path: Path,
    expected: str,
    known: Sequence[str],
    required: Sequence[str] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) for each row below the header.

    The header's names say what stands between cells; case and spaces around them do not matter.
    Cells of columns that a row is short of are ""; rows without text are passed over.

    Args:
        path: a table.
        expected: the columns, or what writes the file, for error messages.
        known: names of columns, as they are returned; others are returned as the header has them.
        required: those of the known ones that the header must have.
        aliases: another name -> the known column that it stands for, where that is absent.

    Raises:
        SourceError: the file is not text, a column is missing or there twice, or a row is too
            short or too long; the message names the line.
    """
    names = {name.casefold(): name for name in (*known, *aliases)}

    def count_names(cells: list[str]) -> int:
        return len({_fold(cell) for cell in cells} & names.keys())

    rows = read_cells(path, expected, rate=count_names)
    number, cells = next(((line, cells) for line, cells in rows if any(cells)), (1, []))
    header = [names.get(_fold(cell), cell.strip()) for cell in cells]
    header = [aliases[n] if aliases.get(n, n) not in header else n for n in header]
    _check_header(f"{path}, line {number}", header, required, expected)
    needed = max((header.index(name) + 1 for name in required), default=0)
    for line, cells in rows:
        if any(cell.strip() for cell in cells):
            _check_width(f"{path}, line {line}", cells, header, needed)
            row = dict(zip(header, cells + [""] * len(header), strict=False))
            row.pop("", None)
            yield line, row


def _check_width(where: str, cells: list[str], header: Sequence[str], needed: int) -> None:
    """Refuse a row with text behind the header's columns, or with fewer cells than needed."""
    extra = any(cell.strip() for cell in cells[len(header) :])
    if extra or len(cells) < needed:
        raise SourceError(
            f"{where}: {len(cells)} cells, expected {len(header)}: {','.join(header)}"
            + "; quote a cell that holds the character between cells, "
            "without a space before the quote" * extra
        )


def read_cells(
    path: Path,
    expected: str,
    delimiters: Sequence[str] = DELIMITERS,
    *,
    rate: Callable[[list[str]], int] = len,
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) for every row, the header included; an empty line has no cell.

    Args:
        path: a table, with or without a header.
        expected: the columns, or what writes the file, for error messages.
        delimiters: that may stand between two cells; the first row decides, unless a line such as
            `sep=;` stands above it.
        rate: of the cells of the first row, by each delimiter; the first with the most is taken.

    Raises:
        SourceError: the file is unreadable, is not text, or has a quote that is not closed.
    """
    with open_text(path, f"expected {expected}") as lines:
        blank, first = [], ""
        for first in lines:
            if first.strip():
                break
            blank.append("\n")
        separator = SEPARATOR_LINE.fullmatch(first.strip(" \r\n"))
        delimiter = (
            separator[1]
            if separator
            else max(delimiters, key=lambda text: rate(_split_line(path, first, text)))
        )
        top = [*blank, "\n" if separator else first] if first else blank
        yield from parse_lines(path, chain(top, lines), delimiter)


def _split_line(path: Path, line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; none if a quote in it is closed in a later one."""
    try:
        return next(parse_lines(path, [line], delimiter))[1]
    except SourceError:
        return []


def _fold(name: str) -> str:
    return name.strip().casefold()


def _check_header(
    where: str, header: Sequence[str], required: Sequence[str], expected: str
) -> None:
    absent = [name for name in required if name not in header]
    if absent:
        found = ", ".join(filter(None, header))[:120] or "no header"
        raise SourceError(
            f"{where}: no column {', '.join(absent)}; found {found}; expected {expected}"
        )
    doubled = [name for name, count in Counter(header).items() if name and count > 1]
    if doubled:
        raise SourceError(
            f"{where}: the column {', '.join(doubled)} is there twice; remove or rename one"
        )


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a cell: `1.5`, `1,5`, `1:30` or `00:01:30.5`; None if it has none.

    Args:
        text: the cell; empty, nan, none and null are none.

    Raises:
        ValueError: it is no such number; the message is a phrase.
    """
    cell = text.strip()
    if cell.casefold() in ABSENT:
        return None
    if AMBIGUOUS.fullmatch(cell):
        raise ValueError(
            f"{cell!r} may be a thousand times more or less; write a point, not a comma"
        )
    clock = CLOCK.fullmatch(cell)
    if clock:
        hours, minutes, seconds = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"{cell!r} is no number of seconds, as 1.5, nor a time, as 00:01:30.5")
    return float(cell.replace(",", "."))


@contextmanager
def open_text(path: Path, remedy: str) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file as they end: UTF-8, or UTF-16 or UTF-32 with a mark.

    Args:
        path: the file.
        remedy: a phrase for the message about a file that is no text.

    Raises:
        SourceError: the file cannot be read, is not text, or holds a NUL character.
    """
    encoding = "utf-8-sig"
    try:
        with convert_unreadable(path):
            with path.open("rb") as raw:
                encoding = _detect_encoding(raw.read(64))
            with path.open(newline="", encoding=encoding) as stream:
                yield _refuse_nul(path, stream)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text (line {_find_undecodable(path, encoding)}, "
            f"{error.reason}); save it as UTF-8; {remedy}"
        ) from error


def _detect_encoding(head: bytes) -> str:
    """Return the encoding of a text by its first bytes; a marked text without ASCII is no text."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark) and any(map(str.isascii, head.decode(encoding, "ignore"))):
            return encoding
    return "utf-8-sig"


def _refuse_nul(path: Path, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise SourceError(
                f"{path}, line {number}: found a NUL character, which is no text; save it as UTF-8"
            )
        yield line


def _find_undecodable(path: Path, encoding: str) -> int:
    """Return the line of the first bytes that an encoding has no character for."""
    content = path.read_bytes()
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        content = content[: error.start]
    with io.StringIO(content.decode(encoding, "ignore"), newline=None) as text:
        return text.read().count("\n") + 1
