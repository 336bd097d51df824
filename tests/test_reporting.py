"""The report: the grid's cells and no others become one page that needs nothing else, and tables beside it."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pipeline.artifact import Export, write_artifact
from pipeline.errors import OutputError, ParamsError, SourceError
from pipeline.params import Grid
from pipeline.records import Normalisation, SyntheticSet
from pipeline.reporting import Report, write

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("cat & <dog>", "bell")
GRID = Grid(datasets=("toy",), selectors=("herding",), methods=("random", "dm"), ipcs=(1, 2), seeds=(0,))
SETTINGS = Report(headline="budget", gallery=2)
RECIPES = {"avdd": {"epochs": 30}, "budget": {"steps": 20, "trials": 2}}
MEANS = {("random", 1): 0.31, ("dm", 1): 0.52, ("random", 2): 0.44, ("dm", 2): 0.43, ("whole", None): 0.9}


def scores(mean: float, protocols: tuple[str, ...] = ("avdd", "budget")) -> dict[str, Any]:
    summary = {"mean": mean, "std": 0.02, "low": mean - 0.05, "high": mean + 0.04, "n": 9}
    return {name: {"metrics": {"accuracy": dict.fromkeys(("a", "av", "v"), summary)}} for name in protocols}


def synthetic(ipc: int) -> SyntheticSet:
    rows = {"frame": torch.zeros(2 * ipc, 1, 3, 8, 8), "logmel": torch.linspace(-3, 3, 8).expand(2 * ipc, 1, 8, 8).contiguous()}
    return SyntheticSet(
        rows=rows,
        label=torch.arange(2).repeat_interleave(ipc),
        classes=CLASSES,
        ipc=ipc,
        formation=dict.fromkeys(rows, (1, 1)),
        normalisation={
            "frame": Normalisation(scale=1 / 255, mean=(0.5,) * 3, std=(0.2,) * 3, fill=0.0),
            "logmel": Normalisation(scale=1.0, mean=(-30.0,), std=(10.0,), fill=-3.0),
        },
        source_key=("",) * (2 * ipc),
    )


def add_cell(results: Path, method: str, ipc: int, losses: list[tuple[int, int, float]]) -> None:
    place = results / "toy" / method / f"ipc{ipc}"
    (place / "synthetic").mkdir(parents=True)
    (place / "published").mkdir()
    (place / "scores.json").write_text(json.dumps({"bytes": 1234 * ipc, "protocols": scores(MEANS[method, ipc])}))
    lines = ["seed,step,loss", *(f"{seed},{step},{loss}" for seed, step, loss in losses)]
    (place / "synthetic" / "losses.csv").write_text("\n".join(lines) + "\n")
    write_artifact(place / "published" / "seed0.h5", synthetic(ipc), Export(storage="float32"))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    for ipc in GRID.ipcs:
        add_cell(place, "random", ipc, [])
        add_cell(place, "dm", ipc, [(seed, step, 100.0 / step + seed) for seed in (0, 2) for step in range(1, 501)])
    about = {"classes": 2, "train_windows": 40, "test_windows": 20, "protocols": scores(MEANS["whole", None])}
    (place / "toy" / "ceiling.json").write_text(json.dumps(about))
    return place


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "report" / "index.html"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_best_cell_of_a_row_is_bold(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    bold = re.findall(r"<strong>(.+?)</strong>", out.read_text(encoding="utf-8"))
    assert bold == ["52.0 ± 2.0", "44.0 ± 2.0"] * 3 * 2  # three views under two protocols
    assert "| 1 | 31.0 ± 2.0 [26.0, 35.0] | **52.0 ± 2.0 [47.0, 56.0]** |" in out.with_suffix(".md").read_text(encoding="utf-8")


def test_methods_that_print_alike_are_bold_together(results: Path, out: Path) -> None:
    path = results / "toy" / "random" / "ipc1" / "scores.json"
    path.write_text(json.dumps({"bytes": 1, "protocols": scores(MEANS["dm", 1] + 0.0001)}))
    write(results, out, GRID, SETTINGS, RECIPES)
    assert out.read_text(encoding="utf-8").count("<strong>52.0 ± 2.0</strong>") == 2 * 3 * 2


def test_a_cell_outside_the_grid_is_not_read(results: Path, out: Path) -> None:
    stray = results / "toy" / "stray" / "ipc1"
    stray.mkdir(parents=True)
    (stray / "scores.json").write_text("no JSON at all")
    write(results, out, GRID, SETTINGS, RECIPES)
    assert not [path for path in out.parent.iterdir() if "stray" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("dm/ipc2/scores.json", "evaluate"),
        ("dm/ipc2/published/seed0.h5", "publish"),
        ("dm/ipc2/synthetic/losses.csv", "distill"),
        ("ceiling.json", "ceiling"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_writes_it(results: Path, out: Path, file: str, command: str) -> None:
    (results / "toy" / file).unlink()
    with pytest.raises(SourceError, match=rf"{re.escape(file)} does not exist; it is written by `avdistill {command}`$"):
        write(results, out, GRID, SETTINGS, RECIPES)
    assert not out.parent.exists()


def test_scores_of_other_protocols_than_the_ceiling_are_refused(results: Path, out: Path) -> None:
    (results / "toy" / "dm" / "ipc1" / "scores.json").write_text(json.dumps({"bytes": 1, "protocols": scores(0.5, ("avdd",))}))
    with pytest.raises(SourceError, match=r"dm/ipc1/scores\.json and .*ceiling\.json hold different scores"):
        write(results, out, GRID, SETTINGS, RECIPES)


def test_scores_without_the_metric_are_refused(results: Path, out: Path) -> None:
    (results / "toy" / "dm" / "ipc1" / "scores.json").write_text(json.dumps({"bytes": 1, "protocols": {"budget": {}}}))
    with pytest.raises(SourceError, match=r"dm/ipc1/scores\.json lacks what a report is made of"):
        write(results, out, GRID, SETTINGS, RECIPES)


def test_a_headline_that_was_not_run_is_refused(results: Path, out: Path) -> None:
    with pytest.raises(ParamsError, match=r"report\.headline is 'other'.* of avdd, budget"):
        write(results, out, GRID, Report(headline="other", gallery=0), RECIPES)


def test_the_csv_has_a_row_per_cell_protocol_and_view_and_the_ceiling(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    rows = rows_of(out.with_suffix(".csv"))
    found = {(row["method"], row["ipc"], row["protocol"], row["view"]): row for row in rows}
    assert len(found) == len(rows) == (4 + 1) * 2 * 3
    assert found["dm", "2", "avdd", "v"]["mean"] == "0.430000"
    assert (found["dm", "2", "avdd", "v"]["bytes"], found["dm", "2", "avdd", "v"]["n"]) == ("2468", "9")
    assert (found["whole", "", "budget", "av"]["mean"], found["whole", "", "budget", "av"]["bytes"]) == ("0.900000", "")


def test_the_json_holds_percents_by_cell(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    percents = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert set(percents["toy"]) == {"random-ipc1", "dm-ipc1", "random-ipc2", "dm-ipc2", "whole"}
    assert percents["toy"]["dm-ipc1"]["budget"] == {"av": 52.0, "a": 52.0, "v": 52.0}


def test_losses_are_means_over_seeds_and_few(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    rows = rows_of(out.with_suffix(".losses.csv"))
    first = [row for row in rows if row["cell"] == "toy/dm/ipc1"]
    assert {row["cell"] for row in rows} == {"toy/dm/ipc1", "toy/dm/ipc2"}  # random optimises nothing
    assert (len(first), first[0]["step"], first[-1]["step"]) == (200, "1", "500")
    assert first[0]["loss"] == "101"  # of 100 and 102


def test_the_page_needs_nothing_else(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    text = out.read_text(encoding="utf-8")
    assert not re.search(r"https?://", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert {source[:5] for source in re.findall(r'(?:src|href)="([^"#][^"]*)"', text)} == {"data:"}
    assert "<script" not in text
    assert str(results) not in text


def test_every_picture_says_what_it_shows(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    images = re.findall(r"<img [^>]*>", out.read_text(encoding="utf-8"))
    assert len(images) == 2 * 2 * 2  # classes x methods x modalities at the smallest IPC
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert 'alt="bell, dm, 1 per class, stored instance 1: log-mel"' in " ".join(images)


def test_no_gallery_if_none_is_asked_for(results: Path, out: Path) -> None:
    write(results, out, GRID, Report(headline="avdd", gallery=0), RECIPES)
    assert "<img" not in out.read_text(encoding="utf-8")


def test_class_names_are_escaped(results: Path, out: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    text = out.read_text(encoding="utf-8")
    assert "<dog>" not in text
    assert '<th scope="row">cat &amp; &lt;dog&gt;</th>' in text


@pytest.mark.parametrize("suffix", [".html", ".csv", ".json", ".md", ".losses.csv"])
def test_what_exists_is_refused_and_untouched(results: Path, out: Path, suffix: str) -> None:
    out.parent.mkdir()
    out.with_suffix(suffix).write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write(results, out, GRID, SETTINGS, RECIPES)
    assert [path.read_text() for path in out.parent.iterdir()] == ["mine"]


def test_same_results_same_bytes(results: Path, out: Path, tmp_path: Path) -> None:
    write(results, out, GRID, SETTINGS, RECIPES)
    first = out.parent.rename(tmp_path / "first")
    write(results, out, GRID, SETTINGS, RECIPES)
    for path in first.iterdir():
        assert path.read_bytes() == (out.parent / path.name).read_bytes()


def test_the_terminal_gets_the_headline_within_a_hundred_columns(results: Path, out: Path) -> None:
    text = write(results, out, GRID, SETTINGS, RECIPES)
    table, _, paths = text.partition("\n\n")
    assert "protocol budget" in table
    assert "protocol avdd" not in table
    assert max(map(len, table.splitlines())) <= 100
    assert re.search(r"dm +1 +52\.0 ± 2\.0 +47\.0 - 56\.0", table)
    assert str(out) in paths
    assert str(results / "toy" / "dm" / "ipc2" / "published") in paths
