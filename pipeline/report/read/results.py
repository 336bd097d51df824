"""What a report is made of: the grid's cells as they lie in a results folder, read once and checked against each other."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SourceError
from pipeline.core.files import read_json
from pipeline.report.read.kd import KDScores, read_kd_results
from pipeline.report.read.scores import RECOGNITION, Entries, Entry, MeasurementKey, read_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.params import Grid

MOST_POINTS = 200

# (x, y, number of the class) in the plane of the distribution plot
Points = tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long a stage took, and on what; no result, for it differs from run to run."""

    seconds: float
    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One method at one IPC on one dataset.

    Args:
        folder: where its files lie, from the results folder on; `published`: the first seed's artifact; `start`: what the first
            seed started from, None for methods that choose and optimise nothing.
        losses: (step, loss), the mean over seeds, thinned; empty for methods that choose instead of optimise.
        distilling, scoring: times, where they were written down.
    """

    method: str
    ipc: int
    bytes: int
    entries: Entries
    projection: Points
    losses: tuple[tuple[int, float], ...]
    folder: str
    published: Path
    start: Path | None
    distilling: Duration | None
    scoring: Duration | None

    @property
    def seconds(self) -> float | None:
        """From real windows to scores; None if one of the two times is not known."""
        return (
            self.distilling.seconds + self.scoring.seconds
            if self.distilling and self.scoring
            else None
        )


@dataclass(frozen=True, kw_only=True)
class DatasetResults:
    """One dataset: its cells by (method, ipc), and `whole`, what the whole training split reaches.

    Args:
        taught: students with a teacher, see `avdistill teach`.
        scoring: the time of the ceiling; `schooling`: that of the bank of experts, where there is one.
    """

    dataset: str
    classes: tuple[str, ...]
    train_windows: int
    test_windows: int
    test_clips: int
    whole: Entries
    projection: Points
    scoring: Duration | None
    schooling: Duration | None
    cells: dict[tuple[str, int], CellResult]
    taught: tuple[KDScores, ...]

    def entry_of(self, method: str, ipc: int, measure: MeasurementKey) -> Entry:
        """The entry of one cell."""
        return self.cells[method, ipc].entries[measure]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a report shows; the first of `measures` is the headline."""

    boards: tuple[DatasetResults, ...]
    methods: tuple[str, ...]
    ipcs: tuple[int, ...]
    measures: tuple[MeasurementKey, ...]
    baseline: str

    @property
    def headline(self) -> MeasurementKey:
        return self.measures[0]

    @property
    def recognition(self) -> list[MeasurementKey]:
        """The measures of recognition, the headline first."""
        return [measure for measure in self.measures if measure.task == RECOGNITION]

    @property
    def others(self) -> list[MeasurementKey]:
        """The measures of other tasks."""
        return [measure for measure in self.measures if measure.task != RECOGNITION]

    @property
    def names(self) -> dict[MeasurementKey, str]:
        """One word for each measure: as short as the headline's network and head allow."""
        names: dict[MeasurementKey, str] = {}
        for measure in self.measures:
            usual = measure[1:3] == self.headline[1:3]
            short = measure.protocol if measure.task == RECOGNITION else measure.task
            words = (
                [short]
                if usual or measure.task != RECOGNITION
                else [short, measure.network, measure.head]
            )
            name = "-".join(words)
            names[measure] = (
                name if name not in names.values() else "-".join((measure.task, *measure[:3]))
            )
        return names


def gather(results: Path, grid: Grid, baseline: str) -> Results:
    """Read the cells of the grid and no others; a SourceError names the first file that is missing and who writes it."""
    ipcs = tuple(sorted(grid.ipcs))
    boards = tuple(
        _read_dataset(results, dataset, grid.methods, ipcs, grid.seeds[0])
        for dataset in grid.datasets
    )
    first, path = boards[0], results / boards[0].dataset / "ceiling.json"
    for board in boards[1:]:
        _refuse_other_measures(
            board.whole, first.whole, f"{results / board.dataset / 'ceiling.json'} and {path}"
        )
    measures = tuple(first.whole)
    if measures[0].task != RECOGNITION:
        raise SourceError(
            f"{path} begins with task {measures[0].task}; the first entry of evaluate.run is the headline, let it be {RECOGNITION}"
        )
    return Results(
        boards=boards, methods=grid.methods, ipcs=ipcs, measures=measures, baseline=baseline
    )


def find_best_methods(
    board: DatasetResults,
    measure: MeasurementKey,
    metric: str,
    view: str,
    methods: tuple[str, ...],
    ipc: int,
) -> list[str]:
    """The methods with the highest mean of a row; what prints alike is equally good."""
    means = {
        method: round(100 * board.entry_of(method, ipc, measure).metrics[metric][view].mean, 1)
        for method in methods
    }
    return [method for method, mean in means.items() if mean == max(means.values())]


def _read_dataset(
    results: Path, dataset: str, methods: tuple[str, ...], ipcs: tuple[int, ...], seed: int
) -> DatasetResults:
    path = results / dataset / "ceiling.json"
    counts = ("train_windows", "test_windows", "test_clips")
    about, whole = read_scores(path, "ceiling", ("projection", *counts))
    cells = {
        (method, ipc): _read_cell(
            results, f"{dataset}/{method}/ipc{ipc}", method, ipc, seed, about["classes"]
        )
        for ipc in ipcs
        for method in methods
    }
    for cell in cells.values():
        _refuse_unlike(cell.entries, whole, f"{results / cell.folder / 'scores.json'} and {path}")
    return DatasetResults(
        dataset=dataset,
        classes=about["classes"],
        whole=whole,
        projection=_parse_points(about["projection"], len(about["classes"]), path, "ceiling"),
        scoring=_read_seconds(path, "ceiling"),
        schooling=_read_seconds(results / dataset / "experts", "experts"),
        cells=cells,
        taught=read_kd_results(results / dataset, about["classes"]),
        **{name: _read_count(about, name, path, "ceiling") for name in counts},
    )


def _read_count(about: Mapping[str, Any], name: str, path: Path, stage: str) -> int:
    if not isinstance(about[name], int):
        raise SourceError(
            f"{path} has {name} {about[name]!r}, expected a number; remove it and run `avdistill {stage}` again"
        )
    return int(about[name])


def _read_cell(
    results: Path, folder: str, method: str, ipc: int, seed: int, classes: tuple[str, ...]
) -> CellResult:
    """The files in the order in which a run writes them, so that the first one missing is where it stopped."""
    place = results / folder
    synthetic, scores, published = (
        place / "synthetic",
        place / "scores.json",
        place / "published" / f"seed{seed}.h5",
    )
    losses = _read_losses(synthetic / "losses.csv")
    about, entries = read_scores(scores, "evaluate", ("bytes", "projection"))
    if about["classes"] != classes:
        raise SourceError(
            f"{scores} is of other classes than the ceiling of its dataset; evaluate both on the same shards"
        )
    if not published.is_file():
        raise SourceError(f"{published} does not exist; it is written by `avdistill publish`")
    start = synthetic / "start.safetensors"
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
        distilling=_read_seconds(synthetic, "distill"),
        scoring=_read_seconds(scores, "evaluate"),
    )


def _parse_points(value: Any, classes: int, path: Path, stage: str) -> Points:
    try:
        points = tuple(
            (float(x), float(y), range(classes).index(int(label))) for x, y, label in value
        )
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"{path} has a projection that is no list of x, y, label ({error}); remove it and run `avdistill {stage}` again"
        ) from error
    return tuple(point for point in points if math.isfinite(point[0]) and math.isfinite(point[1]))


def _read_seconds(result: Path, stage: str) -> Duration | None:
    """The clock of the stage that wrote `result`: its sibling .seconds.json, which a copied result may lack."""
    path = result.with_suffix(".seconds.json")
    if not path.is_file():
        return None
    value = read_json(path, stage)
    try:
        return Duration(
            seconds=float(value["seconds"]),
            device=str(value["device"]),
            threads=int(value["threads"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} holds no seconds ({type(error).__name__}: {error}); remove it, it is no result"
        ) from error


def _read_losses(path: Path) -> tuple[tuple[int, float], ...]:
    """Mean over seeds at each step, of which at most MOST_POINTS stay: evenly spread, the first and the last among them."""
    if not path.is_file():
        raise SourceError(f"{path} does not exist; it is written by `avdistill distill`")
    at_step: defaultdict[int, list[float]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                at_step[int(row["step"])].append(float(row["loss"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path} is no table of seed, step, loss ({error}); remove it and run `avdistill distill` again"
        ) from error
    points = [(step, sum(losses) / len(losses)) for step, losses in sorted(at_step.items())]
    kept = min(len(points), MOST_POINTS)
    return tuple(points[round(i * (len(points) - 1) / max(kept - 1, 1))] for i in range(kept))


def _refuse_other_measures(found: Entries, expected: Entries, where: str) -> None:
    """All datasets hold the same measures in one order; their metrics, views and clips are their own."""
    if list(found) != list(expected):
        what = f"{'; '.join(map(str, found))} against {'; '.join(map(str, expected))}"
        raise SourceError(
            f"{where} hold different scores ({what}); evaluate both with the same evaluate.run and modalities"
        )


def _refuse_unlike(found: Entries, expected: Entries, where: str) -> None:
    """Within a dataset: also with the same metrics and views, counted on the same test clips."""
    _refuse_other_measures(found, expected, where)
    both = list(zip(found.values(), expected.values(), strict=True))
    for one, other in both:
        if one.shape != other.shape:
            what = f"other metrics or views of {one.measure}"
            raise SourceError(
                f"{where} hold different scores ({what}); evaluate both with the same evaluate.run and modalities"
            )
    if any(one.windows != other.windows for one, other in both):
        raise SourceError(
            f"{where} were counted on different test clips; evaluate both on the same shards"
        )
