"""The page says what a reader must know: the data, few clips, blank picks, absent cells."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.core.errors import SourceError
from pipeline.evaluation import MethodText
from pipeline.report import write_report
from pipeline.report.html.charts import Line, Mark, tell_apart
from tests.toys.results import (
    DATA,
    EVERYTHING,
    GRID,
    HEADLINE,
    SETTINGS,
    TEXTS,
    TOYS,
    Toys,
    edit,
    markdown_of,
    rows_of,
    save,
    text_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def write_page(results: Path, out: Path, **changes: Any) -> Path:
    write_report(
        results, out, changes.get("grid", GRID), SETTINGS, changes.get("texts", TEXTS), None
    )
    return out


# --- the data ---------------------------------------------------------------------------------


def test_the_data_stand_on_the_page_and_in_the_texts(results: Path, out: Path) -> None:
    edit(results / "toy" / "ceiling.json", lambda value: value.update(data=DATA))
    page = write_page(results, out)
    text, markdown = text_of(page), markdown_of(page)
    assert '<a href="https://toys.example/data" rel="noreferrer">' in text
    for name, said in (
        ("Licence", "CC-BY-4.0"),
        ("Split train", "5 clips and 20 windows"),
        ("Rejected", "1 clip and 0 windows"),
        ("Filtered", "0 clips and 14 windows"),
        ("Near-duplicates across splits", "3 of train and test"),
    ):
        assert f"<dt>{name}</dt><dd>{said}</dd>" in text
    assert "<li>CC0-1.0: 3</li>" in text and "Citation" not in text
    assert "| silent | filtered | train | 0 | 14 |" in markdown
    assert "| all classes | 5 | 20 | 6 | 20 |" in markdown
    assert "Near-duplicates across splits: 3 of train and test." in text_of(page, ".txt")


def test_results_without_counts_of_the_data_say_so(made: Path) -> None:
    assert "are not recorded in these results" in text_of(made)


def test_damaged_counts_of_the_data_are_refused(results: Path, out: Path) -> None:
    edit(results / "toy" / "ceiling.json", lambda value: value.update(data={"sizes": [1]}))
    with pytest.raises(SourceError, match=r"ceiling\.json describes its data in another form"):
        write_page(results, out)


# --- warnings ---------------------------------------------------------------------------------


def test_few_clips_are_a_warning_with_the_width_of_the_interval(made: Path) -> None:
    for suffix in (".html", ".md", ".txt"):
        text = " ".join(text_of(made, suffix).split())
        assert "Few test clips: n = 10. A 95 % interval is up to ±5 points wide;" in text


def test_many_clips_and_narrow_intervals_are_no_warning(results: Path, out: Path) -> None:
    edit(results / "toy" / "ceiling.json", lambda value: value.update(test_clips=300))
    assert "test clips: n" not in text_of(write_page(results, out))


def test_a_silent_pick_is_named_with_its_set(results: Path, out: Path) -> None:
    blank = {"seed0.h5": {"logmel": [2, 8]}}
    path = results / "toy" / "random" / "ipc1" / "scores.json"
    edit(path, lambda value: value.update(blank=blank))
    text = text_of(write_page(results, out))
    assert "random, IPC 1, seed0: 2 of 8 instances hold a silent sound." in text


# --- cells that do not fit --------------------------------------------------------------------


def skip(results: Path, method: str, ipc: int) -> None:
    cell = results / "toy" / method / f"ipc{ipc}"
    shutil.rmtree(cell)
    save(cell / "scores.json", {"skipped": "bell has 1 sample, 2 are needed"})


@pytest.mark.parametrize("method", ["dm", "random"])
def test_a_cell_that_was_skipped_is_a_dash_with_its_reason(
    results: Path, out: Path, method: str
) -> None:
    skip(results, method, 2)
    page = write_page(results, out)
    reason = f"Skipped: {method} at IPC 2, because bell has 1 sample, 2 are needed."
    for suffix in (".html", ".md", ".txt"):
        assert reason in text_of(page, suffix)
    dashes = "| 2 | – | **43.0" if method == "random" else "| 2 | **44.0 ± 2.0 [39.0, 48.0]** | – |"
    assert dashes in markdown_of(page)
    assert f"| {method} | 2 | – | – | – |" in markdown_of(page)
    cells = {(row["method"], row["ipc"]) for row in rows_of(page.with_suffix(".csv"))}
    assert cells == {("random", "1"), ("dm", "1"), ("whole", "")} | (
        {("random", "2")} if method == "dm" else {("dm", "2")}
    )


def test_an_ipc_without_any_cell_has_a_row_of_dashes(results: Path, out: Path) -> None:
    skip(results, "dm", 2)
    skip(results, "random", 2)
    page = write_page(results, out)
    assert "| 2 | – | – |" in markdown_of(page)
    assert "2 & – & –" in text_of(page, ".tex")


def test_a_grid_without_any_cell_is_refused(results: Path, out: Path) -> None:
    for method, ipc in TOYS.means:
        skip(results, method, ipc)
    with pytest.raises(SourceError, match=r"every cell of toy was left out, e\.g\. bell has 1"):
        write_page(results, out)


# --- columns that say nothing -----------------------------------------------------------------


def with_metrics(results: Path, change: Any) -> None:
    for path in [*results.rglob("scores.json"), *results.rglob("ceiling.json")]:
        edit(path, lambda value: [change(entry) for entry in value["scores"]])


def test_top_5_of_few_classes_is_left_out(results: Path, out: Path) -> None:
    def add(entry: Any) -> None:
        entry["metrics"]["top5"] = entry["metrics"]["accuracy"]

    with_metrics(results, add)
    page = write_page(results, out)
    why = "with 2 classes every answer is among 5"
    assert why in text_of(page) and why in markdown_of(page)
    assert "top-5 accuracy |" not in markdown_of(page)
    assert {"top5"} <= {row["metric"] for row in rows_of(page.with_suffix(".csv"))}


@pytest.mark.parametrize(
    ("gallery", "kept", "left_out"),
    [
        (20.0, ["R@1 a->v", "R@5 a->v", "R@10 a->v", "median rank a->v"], ""),
        (8.0, ["R@1 a->v", "R@5 a->v", "median rank a->v"], "a gallery of 8 always reaches 100 %"),
        (3.0, [], "a gallery of 3 is too small"),
    ],
)
def test_retrieval_in_a_small_gallery_is_left_out(
    tmp_path: Path, out: Path, gallery: float, kept: list[str], left_out: str
) -> None:
    toys = Toys(means=TOYS.means, measures=(HEADLINE, EVERYTHING[4]))
    results = toys.write(tmp_path / "work")

    def shrink(entry: Any) -> None:
        for summary in entry["metrics"].get("gallery", {}).values():
            summary["mean"] = gallery

    with_metrics(results, shrink)
    table = markdown_of(write_page(results, out)).split("task retrieval")[1]
    heads = table.split("| method |")[1].splitlines()[0]
    assert [
        head for head in ("R@1 a->v", "R@5 a->v", "R@10 a->v", "median rank a->v") if head in heads
    ] == kept
    assert left_out in table


def test_old_retrieval_scores_in_which_every_rank_is_one_are_left_out(
    tmp_path: Path, out: Path
) -> None:
    toys = Toys(means=TOYS.means, measures=(HEADLINE, EVERYTHING[4]))
    results = toys.write(tmp_path / "work")

    def saturate(entry: Any) -> None:
        if entry["metrics"].pop("gallery", None):
            entry["plain"] = ["median rank"]
            for summary in entry["metrics"]["median rank"].values():
                summary |= {"mean": 1.0, "std": 0.0}

    with_metrics(results, saturate)
    table = markdown_of(write_page(results, out)).split("task retrieval")[1]
    assert "every row reaches the best value, 1" in table
    assert "median rank" not in table.split("| method |")[1].splitlines()[0]


# --- methods ----------------------------------------------------------------------------------


def test_methods_are_spelt_out_with_a_link(made: Path) -> None:
    text, link = text_of(made), "https://arxiv.org/abs/2110.04181"
    assert f'<a href="{link}" rel="noreferrer">Distribution matching (DM)</a>' in text
    assert f"- dm: [Distribution matching (DM)]({link})" in text_of(made, ".md")


def test_only_rows_of_one_method_are_an_ablation(results: Path, out: Path) -> None:
    rows = {name: MethodText(title=name, plugin="one") for name in ("random", "dm")}
    page = write_page(results, out, texts=replace(TEXTS, methods=rows))
    assert "<h3>Ablation</h3>" in text_of(page) and "<small>+21.0</small>" in text_of(page)
    other = rows | {"dm": MethodText(title="dm", plugin="one", paper="https://paper.example")}
    papers = write_page(results, out.with_name("x.html"), texts=replace(TEXTS, methods=other))
    assert "blation" not in re.sub(r"aria-\w+", "", text_of(papers))


def test_the_whole_data_have_a_line_of_their_own(made: Path) -> None:
    line = "Whole data (upper bound): 90.0 ± 2.0 [85.0, 94.0]"
    assert text_of(made, ".md").splitlines().count(line) == 6
    assert r"\multicolumn{3}{l}{Whole data (upper bound): $90.0 \pm 2.0$} \\" in text_of(
        made, ".tex"
    )
    rows = re.findall(r'<tr class="line fixed"><th scope="row" colspan="3"', text_of(made))
    assert len(rows) == 6


# --- figures ----------------------------------------------------------------------------------


def test_each_method_has_a_panel_on_the_same_axes(everything: Path) -> None:
    text = text_of(everything)
    assert text.count("Real and synthetic features on first: ") == 3
    panels = re.findall(r'<div class="panels">.*?</figure>', text, re.DOTALL)
    dots = [re.findall(r'<g class="dots">.*?</g>', panel, re.DOTALL) for panel in panels]
    assert dots[0][0] == dots[0][1] == dots[0][2]


def test_lines_and_marks_that_coincide_are_told_apart() -> None:
    marks = [Mark(0.0, 0.0, "M0", "one"), Mark(9.0, 9.0, "M0", "two")]
    same = [Line("s0", "M0,0 9,9", marks=marks), Line("s1", "M0,1 9,9", marks=marks[:1])]
    first, second, other = tell_apart([*same, Line("s2", "M0,5 9,0")])
    assert (first.phase, second.phase, other.phase) == ((0, 2), (1, 2), None)
    assert [mark.hollow for mark in (*first.marks, *second.marks)] == [True, False, True]
