"""Tables and sentences about the data behind the scores: sizes, rejects, near-duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.cells import Cell, Group, Row, Table
from pipeline.report.format import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.report.read.data import DataSummary
    from pipeline.report.read.results import DatasetResults


def build_sizes(dataset: DatasetResults) -> Table | None:
    """Return clips and windows of each class and split, and their sums; None if not recorded.

    Args:
        dataset: whose data.
    """
    if not (dataset.data and dataset.data.sizes):
        return None
    sizes = dataset.data.sizes
    names = sorted({name for classes in sizes.values() for name in classes})

    def make_cells(counts: Iterable[tuple[int, int]]) -> list[Cell]:
        return [Cell(format_count(count), count) for pair in counts for count in pair]

    rows = [Row(name, make_cells(of.get(name, (0, 0)) for of in sizes.values())) for name in names]
    sums = (
        (sum(clips for clips, _ in of.values()), sum(windows for _, windows in of.values()))
        for of in sizes.values()
    )
    return Table(
        title=f"Sizes of the splits of {dataset.dataset}",
        columns=["class", *(f"{split} {noun}" for split in sizes for noun in ("clips", "windows"))],
        groups=[Group(rows)],
        foot=[Row("all classes", make_cells(sums), "whole")],
        descending=range(1, 1 + 2 * len(sizes)),
    )


def build_left_out(dataset: DatasetResults) -> Table | None:
    """Return the clips and windows that are no samples, by reason; None where there are none.

    Args:
        dataset: whose data.
    """
    if not (dataset.data and dataset.data.left_out):
        return None
    rows = [
        Row(
            x.reason or "no reason is given",
            [
                Cell(x.verdict),
                Cell(x.split),
                Cell(format_count(x.clips), x.clips),
                Cell(format_count(x.windows), x.windows),
            ],
        )
        for x in dataset.data.left_out
    ]
    return Table(
        title=f"Left out of {dataset.dataset}",
        columns=["reason", "verdict", "split", "clips", "windows"],
        groups=[Group(rows)],
        descending=(3, 4),
    )


def list_facts(data: DataSummary) -> dict[str, str]:
    """Return name -> text: sizes of the splits, rejects, filters and near-duplicates.

    Args:
        data: the counts; those that are not recorded are left out.
    """
    facts = {}
    for split, classes in data.sizes.items():
        sums = (sum(counts[i] for counts in classes.values()) for i in (0, 1))
        facts[f"Split {split}"] = _count_both(*sums)
    if data.left_out is not None:
        for name, verdict in (("Rejected", "failed"), ("Filtered", "filtered")):
            rows = [x for x in data.left_out if x.verdict == verdict]
            clips, windows = sum(x.clips for x in rows), sum(x.windows for x in rows)
            facts[name] = _count_both(clips, windows) if rows else "nothing"
    if data.leaks is not None:
        facts["Near-duplicates across splits"] = list_leaks(data.leaks) or "none found"
    return facts


def list_leaks(leaks: Mapping[str, int]) -> str:
    """Return the numbers of near-duplicates, e.g. "3 of train and test"; empty for none.

    Args:
        leaks: pair of splits -> pairs of near-duplicates.
    """
    pairs = (f"{count} of {pair.replace('-', ' and ')}" for pair, count in leaks.items() if count)
    return ", ".join(pairs)


def _count_both(clips: int, windows: int) -> str:
    nouns = ((clips, "clip"), (windows, "window"))
    return " and ".join(f"{format_count(n)} {noun}{'' if n == 1 else 's'}" for n, noun in nouns)
