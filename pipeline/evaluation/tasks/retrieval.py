"""Cross-modal retrieval: which picture goes with this sound, and which sound with this picture?

Compared are the unit vectors of a head that projects both modalities into one space and is trained on the set's pairs by
contrast: of a pair against all others (heads/contrastive.py), or of a class against the others (heads/supcon.py), which fits the
headline gallery better. The published figures (AVDD, TMLR 2024) fit galleries of about ten: their random row is what chance
gives among ten. So the headline gallery holds one test window of each class, drawn many times over; the other one holds all
test windows. Right is the query's own window, nothing else. Median rank is the mean over students of each one's median.
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
    from pipeline.evaluation import Bench, Counted
    from pipeline.models.model import AudioVisual
    from pipeline.training.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Task:
    """`recalls`: the k of each R@k."""

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
    )

    recalls: tuple[PositiveInt, ...]

    def score(
        self,
        sets: Sequence[Instances],
        protocol: AvddProtocol | BudgetProtocol,
        spent: int,
        bench: Bench,
    ) -> Scores:
        """Recalls and median ranks, chosen for R@1 in the galleries of one window per class of the validation split."""
        criterion = _embeddings.make_recall_criterion(_embeddings.draw_galleries)
        recipe, trials = evaluation.choose(
            sets[0], protocol, spent, bench.trainer, bench.val, criterion
        )
        everything = [torch.arange(len(bench.test))]
        galleries = {"": _embeddings.draw_galleries(bench.test), ", all": everything}

        def read(module: AudioVisual) -> dict[str, tuple[Tensor, Tensor]]:
            found = _embeddings.embed_split(
                module, bench.test, sets[0].normalisation, bench.trainer.device
            )
            return {
                d + kind: _embeddings.ranks(found, own, d)
                for kind, own in galleries.items()
                for d in DIRECTIONS
            }

        ranked = bench.trainer.train(bench.make_jobs(sets, recipe), read)
        scores = bench.summarise_runs(
            sets, recipe, trials, [self._count_hits(run, bench.test) for run in ranked]
        )
        sizes = {d + kind: len(own[0]) for kind, own in galleries.items() for d in DIRECTIONS}
        medians = {
            view: [run[view][0].double().quantile(0.5).item() for run in ranked] for view in sizes
        }
        more = {
            "median rank": {
                view: evaluation.summarise_values(values) for view, values in medians.items()
            },
            "gallery": {
                view: evaluation.summarise_values([float(count)] * len(ranked))
                for view, count in sizes.items()
            },
        }
        return replace(scores, metrics={**scores.metrics, **more})

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
