"""The grid's cells as they lie in a results folder, read once and checked against each other."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core.csv import read_rows
from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.files import read_json
from pipeline.report.read.kd import KDScores, read_kd_results
from pipeline.report.read.scores import (
    Entries,
    Entry,
    MeasurementKey,
    explain_damage,
    read_scores,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.core.params import Grid
    from pipeline.evaluation import ScoreTexts
    from pipeline.report.settings import ReportSettings

# Points of a loss curve that are drawn.
MAX_POINTS = 200

# (x, y, number of the class) on the first two principal components
Points = tuple[tuple[float, float, int], ...]


class Duration(NamedTuple):
    """The time of a stage on a device, with so many threads; it differs from run to run."""

    seconds: float
    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One method at one IPC on one dataset.

    Args:
        method: a section of `distill`.
        ipc: stored instances per class.
        bytes: size of one artifact.
        entries: its scores.
        projection: its instances on the plane of the real windows.
        losses: (step, loss), the mean over seeds, thinned; empty where nothing is optimised.
        folder: where its files lie.
        published: the first seed's artifact.
        start: the initial instances of the first seed, None where nothing is optimised.
        distilling: time of `distill`, None where it is not recorded.
        scoring: time of `evaluate`, None where it is not recorded.
    """

    method: str
    ipc: int
    bytes: int
    entries: Entries
    projection: Points
    losses: tuple[tuple[int, float], ...]
    folder: Path
    published: Path
    start: Path | None
    distilling: Duration | None
    scoring: Duration | None

    @property
    def seconds(self) -> float | None:
        """From real windows to scores; None if one of the two times is not recorded."""
        times = (self.distilling, self.scoring)
        return sum(time.seconds for time in times if time) if all(times) else None


@dataclass(frozen=True, kw_only=True)
class DatasetResults:
    """One dataset.

    Args:
        dataset: its name.
        classes: names of its classes.
        train_windows: windows of the training split.
        test_windows: windows of the test split.
        test_clips: source clips of the test split.
        whole: scores of students of the whole training split, the upper bound.
        projection: real test windows on the plane.
        scoring: time of `ceiling`.
        expert_training: time of `experts`, None without a bank.
        cells: (method, IPC) -> cell.
        kd: students with a teacher.
    """

    dataset: str
    classes: tuple[str, ...]
    train_windows: int
    test_windows: int
    test_clips: int
    whole: Entries
    projection: Points
    scoring: Duration | None
    expert_training: Duration | None
    cells: dict[tuple[str, int], CellResult]
    kd: tuple[KDScores, ...]

    def entry_of(self, method: str, ipc: int, measure: MeasurementKey) -> Entry:
        """Return the entry of one cell."""
        return self.cells[method, ipc].entries[measure]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a report shows; the first of `measures` is the headline.

    Args:
        datasets: in the order of the grid.
        methods: in the order of the grid.
        ipcs: rising.
        measures: in the order of evaluate.run.
        settings: section `report`.
        texts: of tasks, metrics and protocols.
    """

    datasets: tuple[DatasetResults, ...]
    methods: tuple[str, ...]
    ipcs: tuple[int, ...]
    measures: tuple[MeasurementKey, ...]
    settings: ReportSettings
    texts: ScoreTexts

    @property
    def headline(self) -> MeasurementKey:
        """The first measurement."""
        return self.measures[0]

    @property
    def headline_measures(self) -> list[MeasurementKey]:
        """The measurements of the headline's task, the headline first."""
        return [measure for measure in self.measures if measure.task == self.headline.task]

    @property
    def other_measures(self) -> list[MeasurementKey]:
        """The measurements of other tasks."""
        return [measure for measure in self.measures if measure.task != self.headline.task]

    @property
    def names(self) -> dict[MeasurementKey, str]:
        """One word for each measurement, as short as the headline's network and head allow."""
        names: dict[MeasurementKey, str] = {}
        for measure in self.measures:
            protocol, network, head, task = measure
            if task != self.headline.task:
                name = task
            elif (network, head) == self.headline[1:3]:
                name = protocol
            else:
                name = f"{protocol}-{network}-{head}"
            taken = name in names.values()
            names[measure] = "-".join((task, protocol, network, head)) if taken else name
        return names

    def title_of(self, measure: MeasurementKey, metric: str) -> str:
        """Return the name of a metric in tables."""
        return self.texts.get_metric(measure.task, metric).title or metric

    def find_best(
        self, dataset: DatasetResults, measure: MeasurementKey, metric: str, view: str, ipc: int
    ) -> list[str]:
        """Return the methods with the best mean; means that are printed alike are equally good.

        Args:
            dataset: whose cells are compared.
            measure: which entry.
            metric: which score.
            view: of which view.
            ipc: at which IPC.
        """
        means = {}
        for method in self.methods:
            summary = dataset.entry_of(method, ipc, measure).metrics[metric][view]
            means[method] = round(summary.scale * summary.mean, 1)
        higher = self.texts.get_metric(measure.task, metric).higher_is_better
        best = (max if higher else min)(means.values())
        return [method for method, mean in means.items() if mean == best]


def gather_results(
    results: Path, grid: Grid, settings: ReportSettings, texts: ScoreTexts
) -> Results:
    """Read the cells of the grid, and no others.

    Args:
        results: folder of <dataset>/ceiling.json and <dataset>/<method>/ipc<k>.
        grid: the cells.
        settings: section `report`.
        texts: of tasks, metrics and protocols.

    Raises:
        ParamsError: the baseline, or a protocol with scores, is unknown.
        SourceError: a file is missing, damaged, or does not fit the others.
    """
    if settings.baseline not in grid.methods:
        raise ParamsError(
            f"report.baseline is {settings.baseline!r}, which is not in grid.methods; "
            f"name one of {', '.join(grid.methods)}"
        )
    ipcs = tuple(sorted(grid.ipcs))
    datasets = tuple(
        _read_dataset(results / name, name, grid, ipcs, settings.kd_baseline, texts)
        for name in grid.datasets
    )
    first, path = datasets[0], results / datasets[0].dataset / "ceiling.json"
    for other in datasets[1:]:
        where = f"{results / other.dataset / 'ceiling.json'} and {path}"
        _refuse_other_measures(other.whole, first.whole, where)
    measures = tuple(first.whole)
    _refuse_unknown_measures(first.whole, texts, path)
    return Results(
        datasets=datasets,
        methods=grid.methods,
        ipcs=ipcs,
        measures=measures,
        settings=settings,
        texts=texts,
    )


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
    about, whole = read_scores(path, "ceiling", ("projection", *counts), texts)
    classes = about["classes"]
    cells = {}
    for ipc in ipcs:
        for method in grid.methods:
            place = folder / method / f"ipc{ipc}"
            cell = _read_cell(place, method, ipc, grid.seeds[0], classes, texts)
            _refuse_unlike(cell.entries, whole, f"{place / 'scores.json'} and {path}")
            cells[method, ipc] = cell
    return DatasetResults(
        dataset=name,
        classes=classes,
        whole=whole,
        projection=_parse_points(about["projection"], len(classes), path, "ceiling"),
        scoring=_read_duration(path, "ceiling"),
        expert_training=_read_duration(folder / "experts", "experts"),
        cells=cells,
        kd=read_kd_results(folder, classes, kd_baseline),
        **{name: _read_count(about, name, path, "ceiling") for name in counts},
    )


def _read_count(about: Mapping[str, Any], name: str, path: Path, stage: str) -> int:
    with explain_damage(path, stage, f"has {name} {about[name]!r}, expected a number"):
        return operator.index(about[name])


def _read_cell(
    folder: Path, method: str, ipc: int, seed: int, classes: tuple[str, ...], texts: ScoreTexts
) -> CellResult:
    """Read files in the order of their stages: the first one missing is where a run stopped."""
    synthetic, scores = folder / "synthetic", folder / "scores.json"
    losses = _read_losses(synthetic / "losses.csv")
    about, entries = read_scores(scores, "evaluate", ("bytes", "projection"), texts)
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
    )


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
