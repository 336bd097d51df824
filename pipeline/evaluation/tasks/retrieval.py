"""Cross-modal retrieval: which picture goes with a sound, and which sound with a picture?

A head projects both modalities into one space and is trained on the set's pairs by contrast: of a
pair against all others (heads/contrastive.py), or of a class against the others (heads/supcon.py),
which fits the headline gallery better. The unit vectors of the head are compared. The published
figures (AVDD, TMLR 2024) fit galleries of about ten: their random row is what chance gives among
ten. So the headline gallery holds one test window of each class, drawn many times; the other
gallery holds all test windows. Only the query's own window is right. Median rank is the mean over
students of each one's median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from pipeline import evaluation
from pipeline.core.params import PositiveInt
from pipeline.evaluation import AvddProtocol, BudgetProtocol, MetricText, TaskText
from pipeline.evaluation.tasks import _embeddings
from pipeline.evaluation.tasks._embeddings import DIRECTIONS
from pipeline.models.heads import VECTORS

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.core.records import RealSet
    from pipeline.core.scores import Scores
    from pipeline.evaluation import Bench, Counted, Means, Summary
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances

# A smaller gallery has no order worth a rank.
FEWEST = 4


def find_empty(rows: Sequence[Means]) -> dict[tuple[str, str], str]:
    """Return (metric, view) -> why it says nothing: the gallery is too small, or all rows agree.

    Args:
        rows: the means of every cell and of the whole data; older scores have no `gallery`.
    """
    found: dict[tuple[str, str], str] = {}
    for metric, views in rows[-1].items():
        for view in views if metric != "gallery" else ():
            size = rows[-1].get("gallery", {}).get(view, 0)
            most = int(metric.removeprefix("R@")) if metric.startswith("R@") else 0
            if 0 < size < FEWEST:
                found[metric, view] = f"a gallery of {size:g} is too small"
            elif 0 < size <= most:
                found[metric, view] = f"a gallery of {size:g} always reaches 100 %"
            elif all(row[metric][view] == 1 for row in rows):
                found[metric, view] = "every row reaches the best value, 1, so the gallery is small"
    return found


@dataclass(frozen=True, kw_only=True)
class Task:
    """Parameters of retrieval.

    Args:
        recalls: the k of each R@k.
    """

    takes: ClassVar[str] = VECTORS
    protocols: ClassVar[tuple[type, ...]] = (AvddProtocol, BudgetProtocol)
    modalities: ClassVar[int] = 2
    text: ClassVar[TaskText] = TaskText(
        about=(
            "Which picture goes with a sound (a->v), and which sound with a picture (v->a)? R@k is "
            "the share of queries whose partner is among the first k. Median rank is where the "
            "partner stands. Gallery is the number of candidates."
        ),
        metrics={
            "median rank": MetricText(percent=False, higher_is_better=False),
            "gallery": MetricText(percent=False),
        },
        find_empty=find_empty,
    )

    recalls: tuple[PositiveInt, ...]

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Return recalls and median ranks; the recipe is chosen for R@1 on the validation split."""
        criterion = _embeddings.make_recall_criterion(_embeddings.draw_galleries)
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, criterion
        )
        galleries = {
            "": _embeddings.draw_galleries(bench.test),
            ", all": [torch.arange(len(bench.test))],
        }

        def read(module: AudioVisual) -> dict[str, tuple[Tensor, Tensor]]:
            vectors = _embeddings.embed_split(
                module, bench.test, sets[0].normalisation, bench.trainer.device
            )
            return {
                d + kind: _embeddings.ranks(vectors, rows, d)
                for kind, rows in galleries.items()
                for d in DIRECTIONS
            }

        ranked = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        runs = [self._count_hits(run, bench.test) for run in ranked]
        scores = bench.summarise_runs(sets, recipe, trials, runs)
        sizes = {d + kind: len(rows[0]) for kind, rows in galleries.items() for d in DIRECTIONS}
        return replace(scores, metrics={**scores.metrics, **_summarise_ranks(ranked, sizes)})

    def _count_hits(
        self, run: dict[str, tuple[Tensor, Tensor]], test: RealSet
    ) -> dict[str, dict[str, Counted]]:
        return {
            f"R@{most}": {
                view: _embeddings.count_hits(rank, row, most, test)
                for view, (rank, row) in run.items()
            }
            for most in self.recalls
        }


def _summarise_ranks(
    runs: Sequence[dict[str, tuple[Tensor, Tensor]]], sizes: dict[str, int]
) -> dict[str, dict[str, Summary]]:
    """Return the metrics that are plain numbers: median ranks, and sizes of galleries."""
    medians = {view: [run[view][0].double().quantile(0.5).item() for run in runs] for view in sizes}
    counts = {view: [float(size)] * len(runs) for view, size in sizes.items()}
    return {
        metric: {view: evaluation.summarise_values(values) for view, values in views.items()}
        for metric, views in (("median rank", medians), ("gallery", counts))
    }
