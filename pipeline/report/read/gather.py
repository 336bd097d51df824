"""Results folder -> results: the grid's cells, read once and checked against each other."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pipeline.core.csv import read_rows
from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.files import read_json
from pipeline.report.read.data import parse_data
from pipeline.report.read.kd import read_kd_results
from pipeline.report.read.loose import find_loose_scores
from pipeline.report.read.results import CellResult, DatasetResults, Duration, Points, Results
from pipeline.report.read.scores import Entries, explain_damage, read_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.evaluation import ScoreTexts
    from pipeline.report.settings import ReportSettings

# Points of a loss curve that are drawn.
MAX_POINTS = 200


def gather_results(
    results: Path, grid: Grid, settings: ReportSettings, texts: ScoreTexts
) -> Results:
    """Read the cells of the grid, and scores that lie elsewhere in the folder.

    A folder without any cell of the grid has a report of its files of scores.

    Args:
        results: folder of <dataset>/ceiling.json and <dataset>/<method>/ipc<k>, or of any scores.
        grid: the cells.
        settings: section `report`.
        texts: of tasks, metrics and protocols.

    Raises:
        ParamsError: the baseline, or a protocol with scores, is unknown.
        SourceError: a file is missing, damaged, or does not fit the others.
    """
    folders = {name: results / name for name in grid.datasets}
    if not any(_is_begun(folder, grid) for folder in folders.values()):
        loose = find_loose_scores(results, (), texts)
        if loose.groups:
            return Results(settings=settings, texts=texts, loose=loose)
    return _read_grid(results, folders, grid, settings, texts)


def _read_grid(
    results: Path,
    folders: Mapping[str, Path],
    grid: Grid,
    settings: ReportSettings,
    texts: ScoreTexts,
) -> Results:
    """Read the datasets of the grid, name -> folder, then other scores in the results."""
    if settings.baseline not in grid.methods:
        raise ParamsError(
            f"report.baseline is {settings.baseline!r}, which is not in grid.methods; "
            f"name one of {', '.join(grid.methods)}"
        )
    ipcs = tuple(sorted(grid.ipcs))
    datasets = tuple(
        _read_dataset(folder, name, grid, ipcs, settings.kd_baseline, texts)
        for name, folder in folders.items()
    )
    ceilings = {name: folder / "ceiling.json" for name, folder in folders.items()}
    first, path = datasets[0], ceilings[datasets[0].dataset]
    for other in datasets[1:]:
        where = f"{ceilings[other.dataset]} and {path}"
        _refuse_other_measures(other.whole, first.whole, where)
    _refuse_unknown_measures(first.whole, texts, path)
    return Results(
        datasets=datasets,
        methods=grid.methods,
        ipcs=ipcs,
        measures=tuple(first.whole),
        settings=settings,
        texts=texts,
        loose=find_loose_scores(results, _list_read(datasets, results), texts),
    )


def _is_begun(folder: Path, grid: Grid) -> bool:
    """Whether a dataset's folder holds results of the grid, complete or not."""
    cells = (folder / method / f"ipc{ipc}" for method in grid.methods for ipc in grid.ipcs)
    return (folder / "ceiling.json").is_file() or any(cell.is_dir() for cell in cells)


def _list_read(datasets: tuple[DatasetResults, ...], results: Path) -> set[Path]:
    """Return the files of scores that the grid has."""
    cells = (cell for dataset in datasets for cell in dataset.cells.values())
    return {
        *(results / dataset.dataset / "ceiling.json" for dataset in datasets),
        *(cell.folder / "scores.json" for cell in cells),
    }


def _refuse_unknown_measures(entries: Entries, texts: ScoreTexts, path: Path) -> None:
    headline = next(iter(entries.values()))
    if not headline.correct:
        raise SourceError(
            f"{path} begins with task {headline.measure.task}; the first entry of evaluate.run "
            "is the headline, let it be a task that counts right windows"
        )
    for protocol in (measure.protocol for measure in entries):
        if protocol not in texts.protocols:
            raise ParamsError(
                f"evaluate.protocols lacks {protocol}, which has scores; "
                "take the params that they were made with"
            )


def _read_dataset(
    folder: Path,
    name: str,
    grid: Grid,
    ipcs: tuple[int, ...],
    kd_baseline: str | None,
    texts: ScoreTexts,
) -> DatasetResults:
    path = folder / "ceiling.json"
    counts = ("train_windows", "test_windows", "test_clips")
    about, whole = read_scores(path, "ceiling", ("projection", *counts), texts, ("data",))
    classes = about["classes"]
    cells, skipped = {}, {}
    for ipc in ipcs:
        for method in grid.methods:
            place = folder / method / f"ipc{ipc}"
            if why := _read_skipped(place):
                skipped[method, ipc] = why
                continue
            cell = _read_cell(place, method, ipc, grid.seeds[0], classes, texts)
            _refuse_unlike(cell.entries, whole, f"{place / 'scores.json'} and {path}")
            cells[method, ipc] = cell
    if not cells:
        raise SourceError(
            f"every cell of {name} was left out, e.g. {next(iter(skipped.values()))}; "
            "ask for fewer instances per class in grid.ipcs"
        )
    return DatasetResults(
        dataset=name,
        classes=classes,
        whole=whole,
        projection=_parse_points(about["projection"], len(classes), path, "ceiling"),
        scoring=_read_duration(path, "ceiling"),
        expert_training=_read_duration(folder / "experts", "experts"),
        cells=cells,
        skipped=skipped,
        data=parse_data(about["data"], path),
        kd=read_kd_results(folder, classes, kd_baseline),
        **{name: _read_count(about, name, path, "ceiling") for name in counts},
    )


def _read_skipped(cell: Path) -> str:
    """Return why a cell was left out of the grid, empty for a cell with scores."""
    path = cell / "scores.json"
    value = read_json(path, "evaluate") if path.is_file() else {}
    return str(value.get("skipped", "")) if isinstance(value, dict) else ""


def _read_count(about: Mapping[str, Any], name: str, path: Path, stage: str) -> int:
    with explain_damage(path, stage, f"has {name} {about[name]!r}, expected a number"):
        return operator.index(about[name])


def _read_cell(
    folder: Path, method: str, ipc: int, seed: int, classes: tuple[str, ...], texts: ScoreTexts
) -> CellResult:
    """Read files in the order of their stages: the first one missing is where a run stopped."""
    synthetic, scores = folder / "synthetic", folder / "scores.json"
    losses = _read_losses(synthetic / "losses.csv")
    about, entries = read_scores(scores, "evaluate", ("bytes", "projection"), texts, ("blank",))
    if about["classes"] != classes:
        raise SourceError(
            f"{scores} is of other classes than the ceiling of its dataset; "
            "evaluate both on the same shards"
        )
    published, start = folder / "published" / f"seed{seed}.h5", synthetic / "start.safetensors"
    if not published.is_file():
        raise SourceError(f"{published} does not exist; it is written by `avdistill publish`")
    return CellResult(
        method=method,
        ipc=ipc,
        bytes=_read_count(about, "bytes", scores, "evaluate"),
        entries=entries,
        projection=_parse_points(about["projection"], len(classes), scores, "evaluate"),
        losses=losses,
        folder=folder,
        published=published,
        start=start if start.is_file() else None,
        distilling=_read_duration(synthetic, "distill"),
        scoring=_read_duration(scores, "evaluate"),
        blank=_parse_blank(about["blank"], scores),
    )


def _parse_blank(value: Any, path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Return artifact -> modality -> (blank, all); older scores count none."""
    with explain_damage(path, "evaluate", "counts blank instances in another form"):
        return {
            artifact: {m: (int(blank), int(of)) for m, (blank, of) in counts.items()}
            for artifact, counts in (value or {}).items()
        }


def _parse_points(value: Any, classes: int, path: Path, stage: str) -> Points:
    with explain_damage(path, stage, "has a projection that is no list of x, y, label"):
        labels = range(classes)
        points = [(float(x), float(y), labels.index(int(label))) for x, y, label in value]
    return tuple(point for point in points if all(map(math.isfinite, point)))


def _read_duration(result: Path, stage: str) -> Duration | None:
    """Read .seconds.json beside a result; a copied result may lack it."""
    path = result.with_suffix(".seconds.json")
    if not path.is_file():
        return None
    value = read_json(path, stage)
    with explain_damage(path, stage, "holds no seconds"):
        return Duration(float(value["seconds"]), str(value["device"]), int(value["threads"]))


def _read_losses(path: Path) -> tuple[tuple[int, float], ...]:
    """Read the mean over seeds at each step; at most MAX_POINTS stay, evenly spread."""
    if not path.is_file():
        raise SourceError(f"{path} does not exist; it is written by `avdistill distill`")
    at_step: defaultdict[int, list[float]] = defaultdict(list)
    with explain_damage(path, "distill", "is no table of seed, step, loss"):
        for _, row in read_rows(path, "seed, step, loss"):
            at_step[int(row["step"])].append(float(row["loss"]))
    points = [(step, sum(losses) / len(losses)) for step, losses in sorted(at_step.items())]
    kept = min(len(points), MAX_POINTS)
    return tuple(points[round(i * (len(points) - 1) / max(kept - 1, 1))] for i in range(kept))


def _refuse_other_measures(entries: Entries, expected: Entries, where: str) -> None:
    """All datasets hold the same measurements in one order; metrics, views and clips may differ."""
    if list(entries) != list(expected):
        difference = f"{'; '.join(map(str, entries))} against {'; '.join(map(str, expected))}"
        _refuse_difference(where, difference)


def _refuse_unlike(entries: Entries, expected: Entries, where: str) -> None:
    """Within a dataset metrics, views and test clips are the same, too."""
    _refuse_other_measures(entries, expected, where)
    for measure, entry in entries.items():
        columns = (
            {(m, frozenset(x.metrics[m])) for m in x.metrics} for x in (entry, expected[measure])
        )
        if next(columns) != next(columns):
            _refuse_difference(where, f"other metrics or views of {measure}")
    if any(entry.windows != expected[measure].windows for measure, entry in entries.items()):
        raise SourceError(
            f"{where} were counted on different test clips; evaluate both on the same shards"
        )


def _refuse_difference(where: str, difference: str) -> None:
    raise SourceError(
        f"{where} hold different scores ({difference}); "
        "evaluate both with the same evaluate.run and modalities"
    )
