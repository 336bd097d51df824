"""Students with a teacher in the report: a grid of training sets and methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.core.errors import SourceError
from pipeline.report import write_report
from tests.toys.junk import add_junk
from tests.toys.results import GRID, SETTINGS, TEXTS, markdown_of, rows_of, save, taught, text_of

if TYPE_CHECKING:
    from pathlib import Path


def write_page(results: Path, out: Path, **files: dict[str, Any]) -> Path:
    """The page of results with these files among the taught; a name with __ lies in a folder."""
    for name, value in files.items():
        save(results / "toy" / "taught" / f"{name.replace('__', '/')}.json", value)
    write_report(results, out, GRID, SETTINGS, TEXTS, None)
    return out


def test_results_without_teachers_say_nothing_of_them(results: Path, out: Path) -> None:
    page = write_page(results, out)
    assert "Does a teacher help?" not in text_of(page)
    assert rows_of(page.with_suffix(".taught.csv")) == []


def test_rows_are_grouped_by_training_set_and_begin_without_a_teacher(
    results: Path, out: Path
) -> None:
    small = {f"ipc5__{m}": taught(m, "random ipc 5", 0.2) for m in ("ccl", "none")}
    page = write_page(results, out, **small, whole=taught("ccl", "whole", 0.4))
    lines = [line for line in markdown_of(page).splitlines() if line.startswith("| random ipc 5")]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| random ipc 5", name]
        for name in (
            "none",
            "none + logmel",
            "ccl",
            "ccl + logmel",
            "probe logmel",
            "teacher logmel",
        )
    ]
    assert "| none | 20.0 ± 2.0 [15.0, 24.0] | 10.0 ± 2.0 [5.0, 14.0] |" in lines[0]
    assert "<h3>Does a teacher help?</h3>" in text_of(
        page
    ) and "random ipc 5: 40 training rows" in text_of(page)


def test_junk_among_the_results_is_passed_over(results: Path, out: Path) -> None:
    page = write_page(results, out, ipc5__kd=taught("kd", "random ipc 5", 0.2))
    clean = page.read_bytes()
    again = out.with_name("again") / out.name
    write_report(add_junk(results), again, GRID, SETTINGS, TEXTS, None)
    assert again.read_bytes() == clean


def test_each_kind_of_student_has_a_table(results: Path, out: Path) -> None:
    page = write_page(
        results,
        out,
        one=taught("kd", "whole", 0.4),
        other=taught("kd", "whole", 0.4, teachers=["frame", "logmel"]),
    )
    assert [
        line for line in markdown_of(page).splitlines() if line.startswith("### toy, students")
    ] == [
        "### toy, students frame <- frame + logmel",
        "### toy, students frame <- logmel",
    ]


def test_the_same_numbers_stand_in_csv_and_json(results: Path, out: Path) -> None:
    page = write_page(results, out, one=taught("kd", "whole", 0.4))
    rows = {(row["metric"], row["row"]): row for row in rows_of(page.with_suffix(".taught.csv"))}
    assert rows["accuracy", "student + logmel"]["mean"] == "0.500000" and len(rows) == 7
    means = json.loads(text_of(page, ".json"))["toy"]["taught"]["frame <- logmel"]["whole"]["kd"]
    assert means["accuracy"] == {"student": 40.0, "student + logmel": 50.0, "probe logmel": 60.0}


def test_rows_that_were_not_run_stand_in_the_table(results: Path, out: Path) -> None:
    missing = [
        "teacher logmel: not run: needs logmel vectors of every training window, by one encoder"
    ]
    page = write_page(results, out, one=taught("kd", "whole", 0.4, not_run=missing))
    row, needs = missing[0].split(": ", 1)
    assert f'<th scope="row">{row}</th><td colspan="3">{needs}</td>' in text_of(page)
    assert f"| whole | {row} | {needs} |" in markdown_of(page)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (
            {"scores": []},
            r"one\.json lacks values that a report needs .*run `avdistill teach` again",
        ),
        (
            taught("kd", "whole", float("nan")),
            r"one\.json: accuracy of student has mean nan, which is no score",
        ),
        (
            taught("kd", "whole", 0.4, classes=["a"]),
            r"one\.json is of other classes than .*ceiling\.json; move it out of .*taught",
        ),
    ],
)
def test_damaged_files_are_named(
    results: Path, out: Path, value: dict[str, Any], says: str
) -> None:
    with pytest.raises(SourceError, match=says):
        write_page(results, out, one=value)
