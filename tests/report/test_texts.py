"""Tasks, metrics and protocols bring their own texts: the report's code names none of them."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest

from pipeline.core import plugins
from pipeline.core.params import Params
from pipeline.evaluation import MetricText, ScoreTexts, TaskText
from pipeline.report import ReportSettings, write_report
from tests.toys.project import values
from tests.toys.results import HEADLINE, SETTINGS, TEXTS, Toys, markdown_of, text_of

# "none", a method of students, is also a word of HTML.
KINDS = ("task", "metric", "method", "kd method")
PLUGINS = {name for kind in KINDS for name in plugins.list_names(kind)} - {"none"}
ROOM = Path(plugins.PACKAGE) / "report"
JUGGLING = TaskText(
    about="How long are the balls in the air?",
    metrics={"balls": MetricText(title="balls in the air", percent=False)},
    compare=lambda means, whole: {
        "share of the whole": means["balls"]["both hands"] / whole["balls"]["both hands"]
    },
)
TOYS = Toys(
    means={("random", 1): 0.45, ("dm", 1): 0.63},
    measures=(HEADLINE, ("budget", "convnet", "ensemble", "juggling")),
)


def write_page(folder: Path, texts: ScoreTexts, settings: ReportSettings = SETTINGS) -> Path:
    out = folder / "index.html"
    write_report(TOYS.write(folder / "work"), out, TOYS.grid, settings, texts, None)
    return out


def test_a_new_task_has_its_own_sentence_columns_and_units(tmp_path: Path) -> None:
    page = write_page(tmp_path, dataclasses.replace(TEXTS, tasks={"juggling": JUGGLING}))
    text, markdown = text_of(page), markdown_of(page)
    assert "<h3>Task: juggling</h3>" in text and JUGGLING.about in text
    assert "In %, but balls in the air in plain numbers" in text
    assert "| method | IPC | balls in the air both hands | share of the whole |" in markdown
    assert "| random | 1 | 0.5 ± 0.0 [0.4, 0.5] | 0.50 |" in markdown
    assert "| whole data | | 0.9 ± 0.0 [0.8, 0.9] | – |" in markdown


def test_an_unknown_task_goes_by_its_name_in_percent(tmp_path: Path) -> None:
    markdown = markdown_of(write_page(tmp_path, TEXTS))
    assert "| method | IPC | balls both hands |" in markdown
    assert "| random | 1 | 45.0 ± 2.0 [40.0, 49.0] |" in markdown


def test_where_less_is_better_the_lowest_mean_is_bold(tmp_path: Path) -> None:
    loss = MetricText(title="error", higher_is_better=False)
    page = write_page(tmp_path, dataclasses.replace(TEXTS, metrics={"accuracy": loss}))
    assert "<strong>45.0 ± 2.0</strong>" in text_of(page)
    assert "the best\naudio-visual error is that of Random selection" in text_of(page)


def test_ior_needs_a_random_selection(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, random=None)
    text = text_of(write_page(tmp_path, TEXTS, settings))
    assert "IOR" not in text and "HLR" in text


def test_texts_come_from_the_plugins_of_the_sections() -> None:
    params = values("tasks.retrieval={task: retrieval, recalls: [1]}")
    sections = params.values["tasks"] | {"mine": {"task": "ranking"}}
    texts = ScoreTexts.from_params(
        Params(name="params.yaml", values={**params.values, "tasks": sections})
    )
    assert not texts.get_metric("retrieval", "median rank").percent
    assert texts.get_task("mine").compare is texts.get_task("ranking").compare is not None
    assert texts.get_metric("recognition", "vote").title == "clip accuracy by vote"
    assert texts.get_task("juggling") == TaskText()
    assert "the same 60 optimiser steps" in texts.protocols["budget"]


def test_markdown_escapes_pipes(tmp_path: Path) -> None:
    toys = Toys(means={("random", 1): 0.4, ("d|m", 1): 0.6}, measures=(HEADLINE,), moves=())
    out = tmp_path / "index.html"
    write_report(toys.write(tmp_path / "work"), out, toys.grid, SETTINGS, TEXTS, None)
    assert r"| IPC | random | d\|m |" in markdown_of(out)


@pytest.mark.parametrize(
    "path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.relative_to(ROOM).as_posix()
)
def test_no_module_holds_the_name_of_a_plugin(path: Path) -> None:
    strings = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not strings & PLUGINS


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.j2")), ids=lambda path: path.name)
def test_no_template_holds_the_name_of_a_plugin(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    quoted = set(re.findall(r"[\"']([^\"']*)[\"']", text))
    names = {name for kind in ("task", "metric") for name in plugins.list_names(kind)}
    assert not quoted & PLUGINS and not set(re.findall(r"\w+", text)) & names


def test_every_task_explains_itself() -> None:
    for name in plugins.list_names("task"):
        assert plugins.find("task", name).text.about
