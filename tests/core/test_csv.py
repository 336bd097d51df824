"""The door to CSV: rows with line numbers, one sentence for a bad file, one line end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.core.csv import format_rows, parse_lines, read_rows, write_rows
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def test_rows_have_the_lines_that_an_editor_shows(table: Path) -> None:
    table.write_bytes(b'\xef\xbb\xbfa,b\r\n\r\n1,"x\r\ny"\r\n2\r\n3,4,5\r\n')
    assert list(read_rows(table, "a,b")) == [
        (3, {"a": "1", "b": "x\r\ny"}),
        (5, {"a": "2", "b": ""}),
        (6, {"a": "3", "b": "4"}),
    ]


def test_cells_are_split_at_a_delimiter(table: Path) -> None:
    lines = ["1&2\n", "\n", "3\n"]
    assert list(parse_lines(table, lines, "&")) == [(1, ["1", "2"]), (2, []), (3, ["3"])]


def test_a_quote_that_is_not_closed_is_named_with_its_line(table: Path) -> None:
    table.write_text('a,b\n"1,2\n', encoding="utf-8")
    with pytest.raises(
        SourceError, match=r"a\.csv, line 2: a quote that opens there is not closed"
    ):
        list(read_rows(table, "a,b"))


def test_another_encoding_and_a_missing_file_are_one_sentence(table: Path) -> None:
    table.write_bytes(b"a,b\n\xff,1\n")
    with pytest.raises(SourceError, match=r"a\.csv is not UTF-8 text .*; expected a,b"):
        list(read_rows(table, "a,b"))
    table.unlink()
    with pytest.raises(SourceError, match=r"a\.csv cannot be read \(No such file or directory\)"):
        list(read_rows(table, "a,b"))


def test_what_is_written_is_what_is_formatted(table: Path) -> None:
    rows = [[1, None], ["x,y", 'say "z"']]
    write_rows(table, ["a", "b"], rows)
    assert table.read_bytes() == b'a,b\n1,\n"x,y","say ""z"""\n'
    assert format_rows(["a", "b"], rows) == table.read_text(encoding="utf-8")


@pytest.mark.parametrize("cell", ["a\rb", "a\nb", "a\r\nb", "\r", ' "a', "a,b"])
def test_any_cell_comes_back(cell: str, table: Path) -> None:
    write_rows(table, ["a", "b"], [[cell, "x"], ["y", cell]])
    assert [row for _, row in read_rows(table, "a,b")] == [
        {"a": cell, "b": "x"},
        {"a": "y", "b": cell},
    ]
