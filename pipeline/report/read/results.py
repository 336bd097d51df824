"""Everything that a report shows: datasets, their cells, and the scores outside the grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.evaluation import ScoreTexts
    from pipeline.report.read.data import DataSummary
    from pipeline.report.read.kd import KDScores
    from pipeline.report.read.loose import LooseFolder
    from pipeline.report.read.scores import Entries, Entry, MeasurementKey
    from pipeline.report.settings import ReportSettings

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
        blank: artifact -> modality -> (instances without contrast, all instances).
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
    blank: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)

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
        skipped: (method, IPC) -> why the grid has no such cell.
        kd: students with a teacher.
        data: sizes, rejects, near-duplicates and licence; None where they are not recorded.
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
    skipped: dict[tuple[str, int], str]
    kd: tuple[KDScores, ...]
    data: DataSummary | None

    @property
    def ipcs(self) -> list[int]:
        """The IPCs at which there are cells, rising."""
        return sorted({ipc for _, ipc in self.cells})

    def list_skipped(self) -> list[str]:
        """Return a sentence for each cell that the grid left out."""
        return [
            f"Skipped: {method} at IPC {ipc}, because {why.rstrip('.')}."
            for (method, ipc), why in self.skipped.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a report shows; the first of `measures` is the headline.

    Args:
        datasets: in the order of the grid; empty where the folder holds no dataset of the grid.
        methods: in the order of the grid.
        ipcs: rising.
        measures: in the order of evaluate.run.
        settings: section `report`.
        texts: of tasks, metrics, protocols and methods.
        loose: scores outside the grid.
    """

    datasets: tuple[DatasetResults, ...] = ()
    methods: tuple[str, ...] = ()
    ipcs: tuple[int, ...] = ()
    measures: tuple[MeasurementKey, ...] = ()
    settings: ReportSettings
    texts: ScoreTexts
    loose: LooseFolder

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
        """Return the methods with the best mean, none where every cell was skipped.

        Means that are printed alike are equally good.

        Args:
            dataset: whose cells are compared.
            measure: which entry.
            metric: which score.
            view: of which view.
            ipc: at which IPC.
        """
        means = {}
        for method in self.methods:
            if (method, ipc) in dataset.cells:
                summary = dataset.cells[method, ipc].entries[measure].metrics[metric][view]
                means[method] = round(summary.scale * summary.mean, 1)
        higher = self.texts.get_metric(measure.task, metric).higher_is_better
        best = (max if higher else min)(means.values(), default=None)
        return [method for method, mean in means.items() if mean == best]

    def find_empty(
        self, dataset: DatasetResults, measure: MeasurementKey
    ) -> dict[tuple[str, str], str]:
        """Return (metric, view) -> why that column says nothing on this dataset.

        Args:
            dataset: whose cells.
            measure: which entries.
        """
        entries = [*(cell.entries[measure] for cell in dataset.cells.values())]
        return find_empty_columns(
            [*entries, dataset.whole[measure]], len(dataset.classes), self.texts
        )

    def explain_empty(
        self, measure: MeasurementKey, empty: Mapping[tuple[str, str], str]
    ) -> list[str]:
        """Return a sentence for each reason why columns are left out.

        Args:
            measure: which entries.
            empty: (metric, view) -> reason.
        """
        reasons: dict[str, list[str]] = {}
        for (metric, view), reason in empty.items():
            reasons.setdefault(reason, []).append(f"{self.title_of(measure, metric)} {view}")
        return [
            f"Left out, because {reason}: {', '.join(names)}." for reason, names in reasons.items()
        ]


def find_empty_columns(
    entries: Sequence[Entry], classes: int, texts: ScoreTexts
) -> dict[tuple[str, str], str]:
    """Return (metric, view) -> why that column says nothing.

    Args:
        entries: of one measurement, at least one.
        classes: number of classes.
        texts: of tasks and metrics.
    """
    task, find = entries[-1].measure.task, texts.get_task(entries[-1].measure.task).find_empty
    found = dict(find([entry.means for entry in entries])) if find else {}
    for metric, view in entries[-1].columns:
        guesses = texts.get_metric(task, metric).guesses
        if classes <= guesses:
            found[metric, view] = f"with {classes} classes every answer is among {guesses}"
    return found
