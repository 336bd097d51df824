"""What adapters of listed datasets share: annotation files read with the file and the line in every complaint."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from pipeline.core import csv
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pipeline.datasets.adapters._index import MediaIndex

# Where a cell stands, for messages: the file, and its line or entry.
Where = str
KINDS: dict[type[Any], str] = {dict: "an object", list: "a list", str: "a text"}


def read_lines(path: Path) -> Iterator[tuple[Where, str]]:
    """The lines of a text file that are not empty, stripped."""
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def read_cells(
    path: Path, columns: tuple[str, ...], delimiter: str = ","
) -> Iterator[tuple[Where, list[str]]]:
    """The cells of every line that is not empty, stripped, for a list without a header; more cells than columns may stand there."""
    expected = delimiter.join(columns)
    for line, cells in csv.read_cells(path, expected, delimiter):
        row = [cell.strip() for cell in cells]
        if len(row) < len(columns) and any(row):
            raise SourceError(
                f"{path}, line {line}: {len(row)} cells, {delimiter.join(row)[:80]!r}; "
                f"expected {expected}"
            )
        if any(row):
            yield f"{path}, line {line}", row


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Where, dict[str, str]]]:
    """The rows of a CSV with a header that has these columns, whatever their order, and maybe more."""
    rows = read_cells(path, ("",))
    _, header = next(rows, ("", [""]))
    absent = [name for name in columns if name not in header]
    if absent:
        raise SourceError(
            f"{path}, line 1: no column {', '.join(absent)}; expected {','.join(columns)}"
        )
    for where, row in rows:
        if len(row) < len(header):
            raise SourceError(
                f"{where}: {len(row)} cells, expected {len(header)}: {','.join(header)}"
            )
        yield where, dict(zip(header, row, strict=False))


def read_document(path: Path) -> Any:
    """The value of a JSON file."""
    try:
        return json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON ({error}); fetch it again") from error


def get_entry(where: Where, value: Any, kind: type[Any], key: str) -> Any:
    """value[key], which must be of that type."""
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise make_error(f"{where}, {key!r}", found, KINDS[kind])
    return found


def make_error(where: Where, found: Any, expected: str) -> SourceError:
    """The complaint about a value of another shape."""
    return SourceError(f"{where}: found {repr(found)[:60]}; expected {expected}")


def parse_file_id(where: Where, text: Any) -> str:
    """An id that files are named after: some text without a slash."""
    if not isinstance(text, str) or not text or set(text) & set("/\\\0"):
        raise SourceError(
            f"{where}: the id is {text!r}; expected the name of a file, without a slash"
        )
    return text


def parse_label(where: Where, text: Any) -> str:
    """A class name: some text."""
    if not isinstance(text, str) or not text:
        raise SourceError(f"{where}: the label is {text!r}; expected the name of a class")
    return text


def parse_split(where: Where, text: str, splits: Mapping[str, str]) -> str:
    """What a list's own word for a split stands for."""
    if text not in splits:
        raise SourceError(f"{where}: the split is {text!r}; expected one of {', '.join(splits)}")
    return splits[text]


def parse_span(where: Where, start: Any, end: Any) -> tuple[float, float]:
    """Seconds from start to end; an empty span stays, decode puts it into the ledger as short."""
    try:
        first, last = float(start), float(end)
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(
            f"{where}: the span is {start!r} to {end!r}; expected two numbers of seconds"
        ) from error
    if not 0 <= first <= last < math.inf:
        raise SourceError(
            f"{where}: the span is {first:g} to {last:g} s; expected a start of 0 or more and an end not before it"
        )
    return first, last


def parse_integer(where: Where, text: str, noun: str, least: int, most: int) -> int:
    """A whole number in a range."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise SourceError(
            f"{where}: the {noun} is {text!r}; expected a whole number from {least} to {most}"
        )
    return int(text)


def select_classes(
    index: MediaIndex, classes: tuple[str, ...] | str | None, known: Iterable[str]
) -> set[str]:
    """The classes that are asked for, in lower case: a list of them, the name of a file with one a line, or None for all.

    Lower case, because one class of UCF101 is written in two ways, HandstandPushups and HandStandPushups.
    """
    names = {name.casefold(): name for name in known}
    asked = (
        [line for _, line in read_lines(index.find_list(classes))]
        if isinstance(classes, str)
        else classes
    )
    absent = [name for name in asked or () if name.casefold() not in names]
    if absent:
        some = ", ".join(sorted(names.values())[:5])
        raise SourceError(
            f"no clip of the class {absent[0]!r} is listed; take it out of `classes`, there are {some}, ..."
        )
    return {name.casefold() for name in (names if asked is None else asked)}


def _read_text(path: Path) -> str:
    """UTF-8, with a byte-order mark or without."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is no text in UTF-8 ({error.reason}); fetch it again") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); make it readable") from error
