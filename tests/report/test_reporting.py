"""The report: the cells of the grid, and no others, become one page and tables beside it."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pipeline.artifact import ExportSettings, read_artifact, write_artifact
from pipeline.core.errors import OutputError, ParamsError, SourceError
from pipeline.core.params import Grid
from pipeline.core.tensors import save_synthetic
from pipeline.media.logmel import LogMel
from pipeline.report import SUFFIXES, ReportSettings, write_report
from pipeline.report.compare import compute_difference
from pipeline.report.html.panels import draw_losses
from pipeline.report.read.scores import read_scores
from tests.toys.project import values
from tests.toys.results import (
    EVERYTHING,
    GRID,
    HEADLINE,
    LOGMEL,
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


def test_the_best_cell_of_a_row_is_bold(made: Path) -> None:
    bold = re.findall(r"<strong>(\d.+?)</strong>", text_of(made))
    assert bold == ["52.0 ± 2.0", "44.0 ± 2.0"] * 3 * 2  # three views under two protocols
    assert "| 1 | 31.0 ± 2.0 [26.0, 35.0] | **52.0 ± 2.0 [47.0, 56.0]** |" in markdown_of(made)
    assert r"1 & $31.0 \pm 2.0$ & $\mathbf{52.0} \pm 2.0$ \\" in text_of(made, ".tex")


def test_methods_that_print_alike_are_bold_together(results: Path, out: Path) -> None:
    def nearly(value: Any) -> None:
        value["scores"] = TOYS.scores(TOYS.means["dm", 1] + 0.0001)

    edit(results / "toy" / "random" / "ipc1" / "scores.json", nearly)
    write_report(results, out, GRID, SETTINGS, TEXTS, None)
    assert text_of(out).count("<strong>52.0 ± 2.0</strong>") == 2 * 3 * 2


def test_scores_that_cannot_be_read_are_named_where_the_grid_does_not_need_them(
    results: Path, out: Path
) -> None:
    save(results / "toy" / "stray" / "ipc1" / "scores.json", "no JSON at all")
    write_report(results, out, GRID, SETTINGS, TEXTS, None)
    assert "<code>toy/stray/ipc1/scores.json</code>" in text_of(out)
    assert "Passed over, no scores can be read: toy/stray/ipc1/scores.json" in markdown_of(out)
    assert "stray" not in text_of(out, ".csv")


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("dm/ipc2/synthetic/losses.csv", "distill"),
        ("dm/ipc2/scores.json", "evaluate"),
        ("dm/ipc2/published/seed0.h5", "publish"),
        ("ceiling.json", "ceiling"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_writes_it(
    results: Path, out: Path, file: str, command: str
) -> None:
    (results / "toy" / file).unlink()
    with pytest.raises(
        SourceError,
        match=rf"{re.escape(file)} does not exist; it is written by `avdistill {command}`$",
    ):
        write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)
    assert not out.parent.exists()


def test_half_a_run_is_named_by_where_it_stopped(results: Path, out: Path) -> None:
    shutil.rmtree(results / "toy" / "dm" / "ipc2")
    with pytest.raises(
        SourceError,
        match=r"dm/ipc2/synthetic/losses\.csv does not exist; it is written by `avdistill distill`",
    ):
        write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)


def fewer(value: Any) -> None:
    del value["scores"][1]


def turned(value: Any) -> None:
    value["scores"].reverse()


def other_network(value: Any) -> None:
    value["scores"][1]["network"] = "resnet"


def without_sound(value: Any) -> None:
    del value["scores"][0]["metrics"]["accuracy"]["a"]


@pytest.mark.parametrize("change", [fewer, turned, other_network, without_sound])
def test_other_entries_than_the_ceilings_are_refused(results: Path, out: Path, change: Any) -> None:
    edit(results / "toy" / "dm" / "ipc1" / "scores.json", change)
    with pytest.raises(
        SourceError, match=r"dm/ipc1/scores\.json and .*ceiling\.json hold different scores"
    ):
        write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)


def other_clips(value: Any) -> None:
    value["scores"][0]["windows"][0] = 3


def a_clip_more(value: Any) -> None:
    value["scores"][0]["windows"].append(2)


def no_run(value: Any) -> None:
    value["scores"][0]["right"]["av"] = []


def other_classes(value: Any) -> None:
    value["classes"][0] = "dog"


def no_square(value: Any) -> None:
    value["scores"][0]["confusion"]["av"].pop()


def beyond_classes(value: Any) -> None:
    value["projection"][0][2] = 2


def no_metric(value: Any) -> None:
    del value["scores"][0]["metrics"]["accuracy"]


def no_number(value: Any) -> None:
    value["scores"][0]["metrics"]["accuracy"]["av"]["mean"] = float("nan")


def twice(value: Any) -> None:
    value["scores"].append(value["scores"][0])


def no_plane(value: Any) -> None:
    value["projection"] = [[1, 2]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            other_clips,
            r"dm/ipc1/scores\.json and .*ceiling\.json were counted on different test clips",
        ),
        (
            a_clip_more,
            r"scores\.json: budget convnet ensemble recognition counts right windows of another",
        ),
        (
            no_metric,
            r"dm/ipc1/scores\.json lacks values that a report needs \(KeyError: 'accuracy'\)",
        ),
        (
            no_number,
            r"scores\.json: accuracy of av \(budget convnet ensemble recognition\) has mean nan",
        ),
        (twice, r"dm/ipc1/scores\.json holds 3 scores of 2 measures"),
        (no_run, r"counts right windows of another number"),
        (
            other_classes,
            r"dm/ipc1/scores\.json is of other classes than the ceiling of its dataset",
        ),
        (no_square, r"has a confusion matrix that is not 2 x 2, the number of classes"),
        (
            beyond_classes,
            r"has a projection that is no list of x, y, label \(ValueError: 2 is not in range\)",
        ),
        (no_plane, r"dm/ipc1/scores\.json has a projection that is no list of x, y, label"),
    ],
)
def test_scores_that_cannot_be_shown_are_refused(
    results: Path, out: Path, change: Any, says: str
) -> None:
    edit(results / "toy" / "dm" / "ipc1" / "scores.json", change)
    with pytest.raises(SourceError, match=says):
        write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)
    assert not out.parent.exists()


def test_a_headline_of_another_task_is_refused(tmp_path: Path, out: Path) -> None:
    toys = Toys(means=TOYS.means, measures=(EVERYTHING[4], HEADLINE))
    with pytest.raises(
        SourceError,
        match=r"begins with task retrieval; the first entry of evaluate\.run is the headline",
    ):
        write_report(toys.write(tmp_path / "work"), out, GRID, SETTINGS, TEXTS, None)


def test_a_start_of_another_set_is_refused(results: Path, out: Path) -> None:
    save_synthetic(
        results / "toy" / "dm" / "ipc1" / "synthetic" / "start.safetensors",
        TOYS.stored(2, True, "start"),
    )
    with pytest.raises(
        SourceError,
        match=r"start\.safetensors does not hold the initial instances of .*/published/seed0\.h5",
    ):
        write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)


@pytest.mark.parametrize("means", [{("dm", 3): 0.5}, {("random", 1): 0.0, ("dm", 1): 1.0}])
def test_small_grids_have_pages_too(
    tmp_path: Path, out: Path, means: dict[tuple[str, int], float]
) -> None:
    toys = Toys(means=means, measures=(HEADLINE,), whole=1.0)
    write_report(
        toys.write(tmp_path / "work"),
        out,
        toys.grid,
        ReportSettings(gallery=1, baseline="dm"),
        TEXTS,
        LOGMEL,
    )
    assert "<h3>Accuracy</h3>" in text_of(out) and "<h3>Ablation</h3>" not in text_of(out)


def test_settings_that_do_not_fit_are_refused(results: Path, out: Path) -> None:
    with pytest.raises(
        ParamsError,
        match=r"report\.baseline is 'other', which is not in grid\.methods; name one of random, dm",
    ):
        write_report(results, out, GRID, ReportSettings(gallery=0, baseline="other"), TEXTS, LOGMEL)
    with pytest.raises(ParamsError, match=r"evaluate\.protocols lacks avdd"):
        write_report(results, out, GRID, SETTINGS, replace(TEXTS, protocols={"budget": ""}), LOGMEL)
    with pytest.raises(ParamsError, match=r"report: gallery is -1"):
        values("report.gallery=-1").build("report", ReportSettings)
    with pytest.raises(OutputError, match=r"index\.htm does not end in \.html"):
        write_report(results, out.with_suffix(".htm"), GRID, SETTINGS, TEXTS, LOGMEL)


def test_log_mels_of_other_settings_are_refused(results: Path, out: Path) -> None:
    other = LogMel(
        rate=8000, n_fft=1024, hop=520, n_mels=32, f_min=20.0, f_max=4000.0, floor_db=-60.0
    )
    with pytest.raises(
        ParamsError, match=r"decode\.logmel makes log-mels of 32 x 16, .*seed0\.h5 holds 16 x 16"
    ):
        write_report(results, out, GRID, SETTINGS, TEXTS, other)


def test_the_csv_has_a_row_per_cell_measure_metric_and_view_and_the_ceiling(made: Path) -> None:
    rows = rows_of(made.with_suffix(".csv"))
    by_cell = {(row["method"], row["ipc"], row["protocol"], row["view"]): row for row in rows}
    assert len(by_cell) == len(rows) == (4 + 1) * 2 * 3
    row = by_cell["dm", "2", "avdd", "v"]
    assert (row["network"], row["head"], row["task"], row["metric"]) == (
        "convnet",
        "ensemble",
        "recognition",
        "accuracy",
    )
    assert (row["mean"], row["bytes"], row["n"]) == ("0.430000", "24690", "4")
    assert (
        by_cell["whole", "", "budget", "av"]["mean"],
        by_cell["whole", "", "budget", "av"]["bytes"],
    ) == ("0.900000", "")


def test_the_plot_of_accuracies_gets_the_headlines_joint_view(everything: Path) -> None:
    rows = rows_of(everything.with_suffix(".accuracy.csv"))
    assert len(rows) == 2 * (6 + 1) * 2  # datasets x (cells, whole) x protocols
    assert len(
        {(row["dataset"], row["method"], row["ipc"], row["protocol"]) for row in rows}
    ) == len(rows)


def test_the_json_holds_means_by_cell(made: Path, everything: Path) -> None:
    percents = json.loads(text_of(made, ".json"))
    assert set(percents["toy"]) == {"random-ipc1", "dm-ipc1", "random-ipc2", "dm-ipc2", "whole"}
    assert percents["toy"]["dm-ipc1"]["budget"] == {"av": 52.0, "a": 52.0, "v": 52.0}
    cell = json.loads(text_of(everything, ".json"))["first"]["dm-ipc1"]
    assert {
        "budget",
        "avdd",
        "budget-resnet-ensemble",
        "budget-convnet-attention",
        "retrieval",
        "juggling",
    } <= set(cell)
    assert (
        cell["retrieval"]["median rank"]["a->v"] == 7.5
        and cell["retrieval"]["R@10"]["a->v"] == 49.5
    )


def test_losses_are_means_over_seeds_and_few(made: Path) -> None:
    rows = rows_of(made.with_suffix(".losses.csv"))
    first = [row for row in rows if row["cell"] == "toy/dm/ipc1"]
    assert {row["cell"] for row in rows} == {
        "toy/dm/ipc1",
        "toy/dm/ipc2",
    }  # random optimises nothing
    assert (len(first), first[0]["step"], first[-1]["step"]) == (200, "1", "500")
    assert first[0]["loss"] == "101"  # of 100 and 102


def test_every_task_has_a_table_on_the_page_and_in_the_texts(everything: Path) -> None:
    text, markdown = text_of(everything), markdown_of(everything)
    for task in ("retrieval", "continual", "ranking", "dropout", "juggling"):
        assert (
            f"<h3>Task: {task}</h3>" in text and f"first, task {task}, protocol budget" in markdown
        )
    assert '<td data-value="7.5" title="n = 4">7.5 ± 0.5</td>' in text  # a rank is no percentage
    assert "<td>–</td>" in text  # the whole data are not correlated with themselves
    ranking = markdown.split("task ranking")[1].split("###")[0]
    assert re.findall(r"\| (−?1\.00) \|$", ranking, re.MULTILINE) == [
        "−1.00",
        "−1.00",
        "1.00",
        "−1.00",
        "−1.00",
        "1.00",
    ]


def test_networks_and_heads_have_tables_of_their_own(everything: Path) -> None:
    text = text_of(everything)
    assert (
        'aria-label="Accuracy with every network on first"' in text
        and 'aria-label="Accuracy with every head on first"' in text
    )
    assert text.count("<summary>Protocol ") == 3 * 2  # all recognition entries but the headline
    assert text.count("<summary>Clip accuracy by vote: ") == 2


def test_the_comparison_says_how_far_rows_are_apart(made: Path) -> None:
    table = markdown_of(made).split("toy, comparison")[1]
    assert "| random | 1 | 31.0 | baseline | 0.590 | +0.000 |" in table
    assert re.search(
        r"\| dm \| 1 \| 52\.0 \| \**\+21\.0 \[\+\d+\.\d, \+\d+\.\d\]\** \| 0\.380 \| \+0\.210 \|",
        table,
    )


def test_a_paired_difference_knows_that_the_clips_are_the_same(results: Path) -> None:
    place = results / "toy"
    (one, other) = (
        read_scores(place / m / "ipc1" / "scores.json", "evaluate", (), TEXTS)[1]
        for m in ("dm", "random")
    )
    first, second = next(iter(one.values())), next(iter(other.values()))
    result = compute_difference(first, second)
    assert result == compute_difference(first, second)  # the same draws every time
    assert result.mean == pytest.approx(0.21) and result.low < result.mean < result.high
    assert compute_difference(first, first).low <= 0 <= compute_difference(first, first).high
    unpaired = (
        (first.joint.high or 0)
        - (first.joint.low or 0)
        + (second.joint.high or 0)
        - (second.joint.low or 0)
    )
    assert (
        compute_difference(second, second).high - compute_difference(second, second).low < unpaired
    )


def test_without_recorded_times_the_page_says_so(tmp_path: Path, out: Path) -> None:
    toys = Toys(means=TOYS.means, seconds=False)
    write_report(
        toys.write(tmp_path / "work"),
        out,
        GRID,
        ReportSettings(gallery=0, baseline="random"),
        TEXTS,
        None,
    )
    text = text_of(out)
    assert "5 of 5 rows have no recorded time" in text and "<td>not known</td>" in text
    assert "seconds</title>" not in text


def test_the_page_needs_nothing_else(everything: Path) -> None:
    text = text_of(everything)
    links = r'<a href="https?://[^"]*" rel="noreferrer">'  # which fetch nothing by themselves
    assert re.search(links, text) and not re.search(r"https?://", re.sub(links, "", text))
    rest = re.sub(links, "", text)
    assert {source[:5] for source in re.findall(r'(?:src|href)="([^"#][^"]*)"', rest)} == {"data:"}
    assert text.count("<script") == 1
    assert str(everything.parent / "work") not in text


def test_every_picture_and_sound_says_what_it_is(made: Path) -> None:
    text = text_of(made)
    images, sounds = re.findall(r"<img [^>]*>", text), re.findall(r"<audio [^>]*>", text)
    assert (
        len(images) == 2 * len(sounds) == 2 * (2 * 2 + 2)
    )  # classes x (methods, the start of dm) at the smallest IPC
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert all(
        re.search(r'src="data:audio/mpeg;base64,[^"]+" aria-label="[^"]+"', sound)
        for sound in sounds
    )
    assert 'alt="bell; dm, 1 per class, stored instance 1: log-mel"' in text
    assert 'aria-label="bell; dm, 1 per class, stored instance 1, start: sound"' in text


def test_what_soft_labels_take_an_instance_for_stands_below_it(results: Path, out: Path) -> None:
    path = next(results.glob("*/dm/ipc1/published/seed0.h5"))
    made = read_artifact(path).synthetic
    soft = {
        m: torch.tensor([0.25, 0.75]).expand(len(made.label), math.prod(made.formation[m]), 2)
        for m in made.rows
    }
    write_artifact(
        path, replace(made, soft_label=soft, provenance={}), ExportSettings(storage="float32")
    )
    write_report(results, out, GRID, SETTINGS, TEXTS, LOGMEL)
    assert "<small>frame: bell 75 %; cat &amp; &lt;dog&gt; 25 %</small>" in text_of(out)
    assert "its two likeliest classes" in text_of(out)


def test_no_gallery_if_none_is_asked_for_and_no_sound_without_settings(
    results: Path, out: Path, tmp_path: Path
) -> None:
    write_report(results, out, GRID, ReportSettings(gallery=0, baseline="dm"), TEXTS, LOGMEL)
    assert "<img" not in text_of(out) and "<audio" not in text_of(out)
    silent = tmp_path / "silent.html"
    write_report(results, silent, GRID, SETTINGS, TEXTS, None)
    assert (
        "<img" in text_of(silent)
        and "<audio" not in text_of(silent)
        and "The sound is" not in text_of(silent)
    )


def test_many_classes_are_a_list_of_confused_pairs(tmp_path: Path, out: Path) -> None:
    toys = Toys(means=TOYS.means, classes=tuple(f"class {i}" for i in range(21)))
    write_report(
        toys.write(tmp_path / "work"),
        out,
        GRID,
        ReportSettings(gallery=0, baseline="random"),
        TEXTS,
        None,
    )
    assert "class 0 predicted as class 1" in text_of(out) and 'class="confusion"' not in text_of(
        out
    )


def test_names_are_escaped(made: Path) -> None:
    assert "<dog>" not in text_of(made)
    assert '<th scope="row">cat &amp; &lt;dog&gt;</th>' in text_of(made)


def test_latex_escapes_names_and_closes_what_it_opens(everything: Path) -> None:
    text = text_of(everything, ".tex")
    assert r"Accuracy in \% on second\_set" in text and r"\usepackage{booktabs}" in text
    for part in ("table", "tabular"):
        assert text.count(rf"\begin{{{part}}}") == text.count(rf"\end{{{part}}}") == 2
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(everything: Path, tmp_path: Path) -> None:
    tables = everything.with_suffix(".tex").read_text()
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + tables
        + "\n\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-1500:]
    assert (tmp_path / "page.pdf").stat().st_size > 1000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_exists_is_refused_and_untouched(written: Path, out: Path, suffix: str) -> None:
    save(out.with_suffix(suffix), "mine")
    with pytest.raises(OutputError, match="exists already"):
        write_report(written, out, GRID, SETTINGS, TEXTS, LOGMEL)
    assert [path.read_text() for path in out.parent.iterdir()] == ["mine"]


def test_same_results_same_bytes(written: Path, made: Path, out: Path) -> None:
    write_report(written, out, GRID, SETTINGS, TEXTS, LOGMEL)
    for path in out.parent.iterdir():
        if path.suffix != ".txt":  # which names the page
            assert path.read_bytes() == (made.parent / path.name).read_bytes()
    assert {path.name.removeprefix("index") for path in out.parent.iterdir()} == set(SUFFIXES)


def test_the_terminal_gets_the_headline_within_a_hundred_columns(written: Path, out: Path) -> None:
    text = write_report(written, out, GRID, SETTINGS, TEXTS, LOGMEL)
    table, _, paths = text.partition("\n\n")
    assert "protocol budget" in table and "protocol avdd" not in table
    assert max(map(len, table.splitlines())) <= 100
    assert re.search(r"dm +1 +52\.0 ± 2\.0 +47\.0 - 56\.0", table)
    assert str(out) in paths and str(written / "toy" / "dm" / "ipc2" / "published") in paths


def test_datasets_may_differ_in_classes_clips_and_views(tmp_path: Path) -> None:
    """Two datasets of other sizes stand on one page."""
    means = {("herding", 1): 0.4, ("dm", 1): 0.6}
    small = Toys(means=means, datasets=("small",))
    large = Toys(means=means, datasets=("large",), clips=14, classes=("a", "b", "c"))
    small.write(tmp_path / "work")
    large.write(tmp_path / "work")
    grid = Grid(
        datasets=("small", "large"),
        selectors=("herding",),
        methods=("herding", "dm"),
        ipcs=(1,),
        seeds=(0,),
    )
    write_report(
        tmp_path / "work",
        tmp_path / "index.html",
        grid,
        ReportSettings(gallery=0, baseline="herding"),
        TEXTS,
        None,
    )
    assert "from 14 test clips" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_losses_of_another_size_draw_the_same_curve() -> None:
    small = [(step, 1.0 + 1.0 / step) for step in range(1, 41)]
    large = [(step, 1000.0 * loss) for step, loss in small]
    curves = [("small", "s0", small), ("large", "s1", [*large, (41, float("nan"))])]
    ((first, second),) = (chart.lines for chart in draw_losses("title", {"m": curves}))
    assert first.path == second.path and first.path
    assert first.style != second.style and "stroke-dasharray:7 7" in first.style
