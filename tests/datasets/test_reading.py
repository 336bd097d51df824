"""Tables as people save them: any delimiter, encoding and line end; a sentence for the rest."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.datasets.tables import parse_seconds, read_rows

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ("path", "label", "split")
CELLS = [["path", "label", "split"], ["a b.mp4", "dog, small", "train"], ["c.mp4", "cat", "val"]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def saved(delimiter: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(CELLS)
    return text.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        saved().encode(),
        saved(end="\r\n").encode("utf-8-sig"),
        saved(end="\r").encode(),
        saved(";", "\r\n").encode("utf-8-sig"),
        saved("\t").encode(),
        saved("\t", "\r\n").encode("utf-16"),
        saved().encode("utf-16-be").join([b"\xfe\xff", b""]),
        saved().encode("utf-32"),
        ("sep=,\r\n" + saved(end="\r\n")).encode(),
        ('"sep=;"\n' + saved(";")).encode("utf-8-sig"),
        ("sep=|\n" + saved("|")).encode(),
        ("sep=\t\n" + saved("\t")).encode(),
        ("\n\n" + saved()).encode(),
        saved().replace("path,label,split", " Path, LABEL ,Split").encode(),
        saved().replace("path,label,split", "path,label,split,").encode(),
        saved().replace("\n", ",,\n").encode(),
    ],
)
def test_a_table_reads_the_same_however_it_was_saved(content: bytes, table: Path) -> None:
    table.write_bytes(content)
    rows = [row for _, row in read_rows(table, "path,label", KNOWN, KNOWN[:2])]
    assert rows == [dict(zip(KNOWN, cells, strict=True)) for cells in CELLS[1:]]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(
    cells=st.lists(st.tuples(texts, texts, texts), max_size=5),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_cells_come_back(
    cells: list[tuple[str, ...]],
    delimiter: str,
    encoding: str,
    end: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([KNOWN, *cells])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    rows = [tuple(row.values()) for _, row in read_rows(path, "path,label", KNOWN, KNOWN)]
    assert rows == [row for row in cells if any(cell.strip() for cell in row)]


def test_rows_have_their_first_lines(table: Path) -> None:
    table.write_bytes(b'\xef\xbb\xbfa,b\r\n\r\n1,"x\r\ny"\r\n2\r\n , \r\n3,4,\r\n')
    assert list(read_rows(table, "a,b", ("a", "b"))) == [
        (3, {"a": "1", "b": "x\r\ny"}),
        (5, {"a": "2", "b": ""}),
        (7, {"a": "3", "b": "4"}),
    ]


def test_a_column_without_a_name_is_passed_over_and_an_alias_is_a_column(table: Path) -> None:
    """As pandas writes its index."""
    table.write_text(",class_name,path\n0,dog,a.mp4\n")
    rows = list(read_rows(table, "", ("path", "label"), ("label",), {"class_name": "label"}))
    assert rows == [(2, {"label": "dog", "path": "a.mp4"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'path,label\na,b\n\nc,"d\ne,f\n', r"line 4: a quote that opens there is not closed"),
        (b'path,label\nc,"d\ne,"f"\n', r"line 2: a quote that opens there is not closed"),
        (b"path,label\n\n\na,dog, small\n", r"line 4: 3 cells, expected 2: path,label; quote"),
        (b"path,split,label\na,b\n", r"line 2: 2 cells, expected 3: path,split,label"),
        (b"path,label,Path\na,b,c\n", r"line 1: the column path is there twice"),
        (b"path;name\na;b\n", r"line 1: no column label; found path, name; expected path,label"),
        (b"c0.mp4,dog\n", r"line 1: no column path, label; found c0.mp4,dog; expected"),
        (b"", r"line 1: no column path, label; found no header"),
        (b"path,label\na,b\nc\0,d\n", r"line 3: found a NUL character"),
        ("path,label\n".encode("utf-16-le"), r"line 1: found a NUL character"),
        (b"path,label\na,b\nc,caf\xe9\n", r"is not UTF-8 text \(line 3, .*; expected path,label"),
        (b"\xff\xfe\0path", r"is not UTF-8 text \(line 1, "),
        (b"\xff\xfep\0a", r"is not UTF-8 text \(line 1, "),
    ],
)
def test_a_bad_table_is_one_sentence_with_its_line(
    content: bytes, message: str, table: Path
) -> None:
    table.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.csv.*" + message):
        list(read_rows(table, "path,label", KNOWN, KNOWN[:2]))


def test_a_missing_file_is_one_sentence(table: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.csv cannot be read \(No such file or directory\)"):
        list(read_rows(table, "a,b", KNOWN))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5", 1.5),
        (" 0,5 ", 0.5),
        ("0,500", 0.5),
        ("1,25", 1.25),
        ("1e1", 10.0),
        ("-0.5", -0.5),
        ("00:00:02", 2.0),
        ("1:30", 90.0),
        ("01:00:02,5", 3602.5),
        ("", None),
        ("NaN", None),
        ("None", None),
    ],
)
def test_seconds_are_read_as_people_write_them(text: str, seconds: float | None) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["1,500", "soon", "inf", "1:2:3:4", "0:75", "1_0", "\u0663", "1.5s"]
)
def test_a_text_that_is_no_number_of_seconds_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.replace(".", r"\.")):
        parse_seconds(text)


@given(number=st.floats(0, 1e9))
def test_seconds_come_back_as_they_were_written(number: float) -> None:
    assert parse_seconds(str(number)) == number
