"""Names of rows: those that work everywhere are read as text, others are refused with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ParamsError
from pipeline.core.names import refuse_bad_names
from pipeline.core.params import Grid, load
from pipeline.core.presets import parse_yaml
from pipeline.project import create_project

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["2025", "012", "kin-400", "ja_動物", "no", "A", "'2025-11-01'"])
def test_a_name_is_read(name: str, tmp_path: Path) -> None:
    text = f"grid: {{datasets: [{name}]}}\ningest: {{{name}: {{adapter: folder, seed: 3}}}}"
    params = load(written(tmp_path, text))
    (read,) = params.build("grid", Grid).datasets
    assert read == {"012": "12"}.get(name, name.strip("'"))
    assert params.get_section(f"ingest.{read}")["seed"] == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kin.400", r"ingest: 'kin\.400' cannot be a name, .*, for example kin-400$"),
        ("my clips", r"'my clips' cannot .* example my-clips$"),
        ("a/b", r"'a/b' cannot .* example a-b$"),
        ("-x", r"'-x' cannot .* example x$"),
        ("_x", r"'_x' cannot .* example x$"),
        ("'..'", r"'\.\.' cannot .* example mine$"),
        ("''", r"'' cannot .* example mine$"),
        ("a@b", r"'a@b' cannot .* example a-b$"),
        ("x" * 65, r"cannot .* at most 64 letters"),
        ("true", "True is no text; quote it$"),
        ("1.5", "1.5 is no text; quote it$"),
        ("Mine", "'Mine' differs from 'mine' in case alone; rename one of them$"),
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(name: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"ingest: {{{name}: {{adapter: folder}}}}")
    with pytest.raises(ParamsError, match=message):
        load(path)
    with pytest.raises(ParamsError, match=message):
        create_project(tmp_path / "new", [str(path)])


def test_a_method_is_not_named_as_a_folder_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, "distill: {coreset: {method: coreset}}")
    with pytest.raises(ParamsError, match=r"'coreset' is a folder of dvc\.yaml already; take"):
        load(path)


@given(st.text(max_size=80))
def test_the_suggested_name_is_allowed(name: str) -> None:
    try:
        refuse_bad_names("ingest", [name], "p.yaml")
    except ParamsError as error:
        if "for example" in str(error):
            refuse_bad_names("ingest", [str(error).rpartition(" ")[2]], "p.yaml")


@pytest.mark.parametrize("text", ["2025-11-01", "2025-11-01T10:00:00Z", "12:30", "no", "="])
def test_dates_and_times_are_text(text: str) -> None:
    assert parse_yaml(f"a: {text}", "text") == {"a": text}


def test_names_that_are_dates_or_numbers_are_text() -> None:
    assert parse_yaml("{2025-11-01: 1, 2025: {7: 1}}", "text") == {
        "2025-11-01": 1,
        "2025": {"7": 1},
    }
