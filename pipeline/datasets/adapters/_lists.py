"""Read and check annotation files; every error names the file and the line."""

from __future__ import annotations

import json
import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.records import SPLITS, join_names
from pipeline.datasets import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.datasets.adapters._index import MediaIndex

# The place of a value, for messages: the file, and its line or entry.
Where = str
# Words for a split that mean one thing; `dev` and `eval` are train, val or test by dataset.
SPLIT_WORDS = MappingProxyType(
    {
        **dict(zip(SPLITS, SPLITS, strict=True)),
        "training": "train",
        "valid": "val",
        "validation": "val",
        "testing": "test",
    }
)
JSON_TYPES: dict[type[Any], str] = {dict: "an object", list: "a list", str: "a text"}


def read_lines(path: Path) -> Iterator[tuple[Where, str]]:
    """Yield (place, stripped line) of each line that is not empty.

    Args:
        path: a text file.
    """
    for number, line in enumerate(re.split("\r\n|\r|\n", _read_text(path)), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def read_list(
    path: Path, columns: Mapping[str, Sequence[str]], delimiter: str = ","
) -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (place, column -> stripped cell) of each row of a list, with a header or without.

    Without a header the cells stand in the order of the columns; a row may have more.

    Args:
        path: the list.
        columns: name -> other names in a header; case, spaces and signs do not matter.
        delimiter: usually between cells; a tab, comma or semicolon may be there as well.
    """
    expected = delimiter.join(columns)
    delimiters = [*dict.fromkeys(["\t", delimiter, *tables.DELIMITERS])]
    names = {_fold(text): name for name, others in columns.items() for text in (name, *others)}
    rows = tables.read_cells(
        path, expected, delimiters, rate=lambda cells: min(len(cells), len(columns))
    )
    order: list[str] = []
    for line, cells in rows:
        row = [cell.strip() for cell in cells]
        if not any(row):
            continue
        if not order:
            header = [names.get(_fold(cell), "") for cell in row]
            is_header = len(set(filter(None, header))) > 1
            order = header if is_header else list(columns)
            if is_header and set(columns) <= set(header):
                continue
        if len(row) < len(columns) or not set(columns) <= set(order):
            raise SourceError(
                f"{path}, line {line}: {len(row)} cells, {delimiter.join(row)[:80]!r}; "
                f"expected {expected}"
            )
        yield f"{path}, line {line}", dict(zip(order, row, strict=False))


def has_width(path: Path, count: int) -> bool:
    """Tell whether the first row of a list has so many cells.

    Args:
        path: the list.
        count: of cells.
    """
    rows = tables.read_cells(path, "a list")
    return next((len(cells) for _, cells in rows if any(cells)), 0) == count


def read_table(
    path: Path,
    columns: Sequence[str],
    aliases: Mapping[str, str] = MappingProxyType({}),
    optional: Sequence[str] = (),
) -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (place, column -> stripped cell) of each row of a CSV with a header.

    Args:
        path: the table.
        columns: that it must have, in any order; it may have more.
        aliases: another name -> the column that it stands for.
        optional: columns that it may have; a row without one has "".
    """
    known = (*columns, *optional)
    for line, row in tables.read_rows(path, ",".join(columns), known, columns, aliases):
        cells = {name: cell.strip() for name, cell in row.items()}
        yield f"{path}, line {line}", {**dict.fromkeys(optional, ""), **cells}


def find_split(path: Path) -> str | None:
    """Return the split that the name of a list holds as a word, as `anet_anno_train.json`.

    Args:
        path: of the list.
    """
    words = re.split(r"[\W_0-9]+", path.stem.casefold())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


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
    if not isinstance(text, str) or not text or len(text.splitlines()) > 1:
        raise SourceError(
            f"{where}: the label is {text!r}; expected the name of a class, in one line"
        )
    return text


def parse_split(where: Where, text: str, splits: Mapping[str, str] = SPLIT_WORDS) -> str:
    """Return the split that a list's own word means, in any case.

    Args:
        where: the place of the value.
        text: the word.
        splits: word -> split.
    """
    split = splits.get(text.strip().casefold())
    if split is None:
        expected = SPLITS if splits is SPLIT_WORDS else splits
        raise SourceError(f"{where}: the split is {text!r}; expected one of {', '.join(expected)}")
    return split


def parse_span(where: Where, start: Any, end: Any) -> tuple[float, float]:
    """Return start and end in seconds; decode puts an empty span into the ledger as short.

    Args:
        where: the place of the values.
        start: a number or its text.
        end: a number or its text.
    """
    try:
        first, last = _parse_number(start), _parse_number(end)
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


def _parse_number(value: Any) -> float:
    """Return seconds; a cell that holds none is nan."""
    seconds = tables.parse_seconds(value) if isinstance(value, str) else float(value)
    return math.nan if seconds is None else seconds


def parse_integer(where: Where, text: str, noun: str, low: int, high: int) -> int:
    """Return a whole number in a range.

    Args:
        where: the place of the value.
        text: its digits.
        noun: name of the value, for the message.
        low: the smallest allowed.
        high: the largest allowed.
    """
    digits = re.sub(r"\.0+$", "", text)  # as pandas writes a column with an empty cell
    if not (re.fullmatch("[0-9]{1,9}", digits) and low <= int(digits) <= high):
        raise SourceError(
            f"{where}: the {noun} is {text!r}; expected a whole number from {low} to {high}"
        )
    return int(digits)


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
        [_unquote(line) for _, line in read_lines(index.find_list(classes))]
        if isinstance(classes, str)
        else classes
    )
    missing = [name for name in requested or () if name.casefold() not in names]
    if missing:
        examples = join_names(sorted(names.values()), 5)
        raise SourceError(
            f"no clip of the class {missing[0]!r} is listed; "
            f"take it out of `classes`, there are {examples}"
        )
    return {name.casefold() for name in (names if requested is None else requested)}


def _unquote(line: str) -> str:
    """Return a name without the quotes that a spreadsheet puts around one with a comma."""
    quoted = len(line) > 1 and line[0] == line[-1] == '"'
    return line[1:-1].replace('""', '"') if quoted else line


def _fold(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _read_text(path: Path) -> str:
    with tables.open_text(path, "download it again") as lines:
        return "".join(lines)
