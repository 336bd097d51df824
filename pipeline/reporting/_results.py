"""What a report is made of: the grid's cells as they lie in a results folder, read once and checked against each other."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import ParamsError, SourceError
from pipeline.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.params import Grid

METRIC = "accuracy"
MOST_POINTS = 200
_SUMMARY = ("mean", "std", "low", "high", "n")

# protocol -> view -> mean, std, low, high (fractions) and n
Scores = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method at one IPC on one dataset.

    Args:
        folder: where its files lie, from the results folder on; `published`: the first seed's artifact.
        losses: (step, loss), the mean over seeds, thinned; empty for methods that choose instead of optimise.
    """

    method: str
    ipc: int
    bytes: int
    scores: Scores
    losses: tuple[tuple[int, float], ...]
    folder: str
    published: Path


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dataset: its cells by (method, ipc), and `whole`, what the whole training split reaches."""

    dataset: str
    classes: int
    train_windows: int
    test_windows: int
    whole: Scores
    cells: dict[tuple[str, int], Cell]

    @property
    def views(self) -> list[str]:
        """The joint view first, then the single ones."""
        return sorted(next(iter(self.whole.values())), key=lambda view: (-len(view), view))


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a report shows; `protocols` begins with the headline."""

    boards: tuple[Board, ...]
    methods: tuple[str, ...]
    ipcs: tuple[int, ...]
    protocols: tuple[str, ...]


def gather(results: Path, grid: Grid, headline: str) -> Results:
    """Read the cells of the grid and no others; a SourceError names the first file that is missing and who writes it."""
    ipcs = tuple(sorted(grid.ipcs))
    boards = tuple(_board(results, dataset, grid.methods, ipcs, grid.seeds[0]) for dataset in grid.datasets)
    protocols = list(boards[0].whole)
    if headline not in protocols:
        raise ParamsError(
            f"report.headline is {headline!r}, the scores under {results} are of {', '.join(protocols)}; name one of these"
        )
    for board in boards[1:]:
        _refuse_unlike(board.whole.keys(), boards[0].whole.keys(), f"{board.dataset}'s ceiling and {boards[0].dataset}'s")
    return Results(
        boards=boards,
        methods=grid.methods,
        ipcs=ipcs,
        protocols=(headline, *(name for name in protocols if name != headline)),
    )


def best(board: Board, protocol: str, view: str, methods: tuple[str, ...], ipc: int) -> list[str]:
    """The methods with the highest mean of a row; what prints alike is equally good."""
    means = {method: round(100 * board.cells[method, ipc].scores[protocol][view]["mean"], 1) for method in methods}
    return [method for method, mean in means.items() if mean == max(means.values())]


def _board(results: Path, dataset: str, methods: tuple[str, ...], ipcs: tuple[int, ...], seed: int) -> Board:
    path = results / dataset / "ceiling.json"
    about, whole = _scores(path, "ceiling", ("classes", "train_windows", "test_windows"))
    cells = {(method, ipc): _cell(results, f"{dataset}/{method}/ipc{ipc}", method, ipc, seed) for ipc in ipcs for method in methods}
    for cell in cells.values():
        where = f"{results / cell.folder / 'scores.json'} and {path}"
        _refuse_unlike(cell.scores.keys(), whole.keys(), where)
        for protocol, views in whole.items():
            _refuse_unlike(cell.scores[protocol].keys(), views.keys(), where)
    return Board(dataset=dataset, whole=whole, cells=cells, **about)


def _cell(results: Path, folder: str, method: str, ipc: int, seed: int) -> Cell:
    place = results / folder
    about, scores = _scores(place / "scores.json", "evaluate", ("bytes",))
    published = place / "published" / f"seed{seed}.h5"
    if not published.is_file():
        raise SourceError(f"{published} does not exist; it is written by `avdistill publish`")
    losses = _losses(place / "synthetic" / "losses.csv")
    return Cell(method=method, ipc=ipc, scores=scores, losses=losses, folder=folder, published=published, **about)


def _scores(path: Path, stage: str, wanted: tuple[str, ...]) -> tuple[dict[str, int], Scores]:
    """The whole numbers in `wanted`, and the summaries of the one metric that the report is about."""
    value = read_json(path, stage)
    try:
        scores = {
            protocol: {view: {name: summary[name] for name in _SUMMARY} for view, summary in score["metrics"][METRIC].items()}
            for protocol, score in value["protocols"].items()
        }
        return {name: int(value[name]) for name in wanted}, scores
    except (AttributeError, KeyError, TypeError) as error:
        what = f"{path} lacks what a report is made of ({type(error).__name__}: {error})"
        raise SourceError(f"{what}; remove it and run `avdistill {stage}` again") from error


def _losses(path: Path) -> tuple[tuple[int, float], ...]:
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


def _refuse_unlike(found: Any, expected: Mapping[str, Any] | Any, where: str) -> None:
    if set(found) != set(expected):
        one, other = ", ".join(sorted(found)), ", ".join(sorted(expected))
        raise SourceError(
            f"{where} hold different scores ({one}; {other}); evaluate both with the same evaluate.run and modalities"
        )
