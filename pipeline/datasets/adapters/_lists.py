"""Read and check annotation files; every error names the file and the line."""

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

# The place of a value, for messages: the file, and its line or entry.
Where = str
JSON_TYPES: dict[type[Any], str] = {dict: "an object", list: "a list", str: "a text"}


def read_lines(path: Path) -> Iterator[tuple[Where, str]]:
    """Yield (place, stripped line) of each line that is not empty.

    Args:
        path: a text file.
    """
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def read_cells(
    path: Path, columns: tuple[str, ...], delimiter: str = ","
) -> Iterator[tuple[Where, list[str]]]:
    """Yield (place, stripped cells) of each line that is not empty, of a list without a header.

    Args:
        path: the list.
        columns: names of the cells that each line must have; it may have more.
        delimiter: between cells.
    """
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
    """Yield (place, column -> cell) of each row of a CSV with a header.

    Args:
        path: the table.
        columns: that it must have, in any order; it may have more.
    """
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
    """Return the value of a JSON file.

    Args:
        path: the file.
    """
    try:
        return json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not valid JSON ({error}); download it again") from error


def get_entry(where: Where, value: Any, kind: type[Any], key: str) -> Any:
    """Return value[key].

    Args:
        where: the place of the value.
        value: from a JSON file.
        kind: the type that the entry must have.
        key: of the entry.

    Raises:
        SourceError: there is no such entry, or it has another type.
    """
    entry = value.get(key) if isinstance(value, dict) else None
    if not isinstance(entry, kind):
        raise make_error(f"{where}, {key!r}", entry, JSON_TYPES[kind])
    return entry


def make_error(where: Where, value: Any, expected: str) -> SourceError:
    """Return the error for an unexpected value.

    Args:
        where: its place.
        value: found there.
        expected: a phrase.
    """
    return SourceError(f"{where}: found {repr(value)[:60]}; expected {expected}")


def parse_file_id(where: Where, text: Any) -> str:
    """Check an id that is part of a file name: a text without a slash.

    Args:
        where: the place of the value.
        text: the value.
    """
    if not isinstance(text, str) or not text or set(text) & set("/\\\0"):
        raise SourceError(
            f"{where}: the id is {text!r}; expected the name of a file, without a slash"
        )
    return text


def parse_label(where: Where, text: Any) -> str:
    """Check a class name: a text that is not empty.

    Args:
        where: the place of the value.
        text: the value.
    """
    if not isinstance(text, str) or not text:
        raise SourceError(f"{where}: the label is {text!r}; expected the name of a class")
    return text


def parse_split(where: Where, text: str, splits: Mapping[str, str]) -> str:
    """Return the split that a list's own word means.

    Args:
        where: the place of the value.
        text: the word.
        splits: word -> split.
    """
    if text not in splits:
        raise SourceError(f"{where}: the split is {text!r}; expected one of {', '.join(splits)}")
    return splits[text]


def parse_span(where: Where, start: Any, end: Any) -> tuple[float, float]:
    """Return start and end in seconds; decode puts an empty span into the ledger as short.

    Args:
        where: the place of the values.
        start: a number or its text.
        end: a number or its text.
    """
    try:
        first, last = float(start), float(end)
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(
            f"{where}: the span is {start!r} to {end!r}; expected two numbers of seconds"
        ) from error
    if not 0 <= first <= last < math.inf:
        raise SourceError(
            f"{where}: the span is {first:g} to {last:g} s; "
            "expected a start of 0 or more and an end not before it"
        )
    return first, last


def parse_integer(where: Where, text: str, noun: str, low: int, high: int) -> int:
    """Return a whole number in a range.

    Args:
        where: the place of the value.
        text: its digits.
        noun: name of the value, for the message.
        low: the smallest allowed.
        high: the largest allowed.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise SourceError(
            f"{where}: the {noun} is {text!r}; expected a whole number from {low} to {high}"
        )
    return int(text)


def select_classes(
    index: MediaIndex, classes: tuple[str, ...] | str | None, known: Iterable[str]
) -> set[str]:
    """Return the requested classes in lower case.

    Lower case, because one class of UCF101 is written in two ways, HandstandPushups and
    HandStandPushups.

    Args:
        index: of the dataset's files.
        classes: names, the name of a file with one class a line, or None for all.
        known: classes of the listed clips.

    Raises:
        SourceError: a requested class has no clip.
    """
    names = {name.casefold(): name for name in known}
    requested = (
        [line for _, line in read_lines(index.find_list(classes))]
        if isinstance(classes, str)
        else classes
    )
    missing = [name for name in requested or () if name.casefold() not in names]
    if missing:
        examples = ", ".join(sorted(names.values())[:5])
        raise SourceError(
            f"no clip of the class {missing[0]!r} is listed; "
            f"take it out of `classes`, there are {examples}, ..."
        )
    return {name.casefold() for name in (names if requested is None else requested)}


def _read_text(path: Path) -> str:
    """Read UTF-8, with or without a byte-order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text ({error.reason}); download it again"
        ) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); make it readable") from error
